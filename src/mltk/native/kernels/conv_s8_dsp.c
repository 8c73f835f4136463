/* 2-D convolution with the DSP instructions of Cortex-M4, M7 and M33: two positions by two channels at once.
 *
 * Weights are words of four int8: [out_c / 2][patch words][2 channels], patches and an odd last channel filled up with
 * zeros. A patch is expanded to int16 once: of four values 0 to 3 a word holds 0 and 2, the next 1 and 3, the order in
 * which SXTB16 expands the weights. The patches of two positions lie beside each other, step by step. */
#include "conv_patch.h"
#include "dsp.h"
#include "mltk_nn.h"

enum { WORDS_A_STEP = 4 }; /* of two positions' patches, for four values of each */

size_t mltk_conv_s8_scratch_bytes(const mltk_conv_s8_params *params) { return conv_scratch_bytes(params); }

/* Expand values into every other pair of words; return where the next ones go. */
static inline uint32_t *expand(const int8_t *values, size_t n_steps, uint32_t *words) {
  DSP_NO_UNROLL
  for (; n_steps > 0; --n_steps, values += 4, words += WORDS_A_STEP) {
    const uint32_t four = dsp_load(values);
    words[0] = dsp_even(four);
    words[1] = dsp_odd(four);
  }
  return words;
}

static inline uint32_t *expand_zeros(uint32_t zeros, size_t n_steps, uint32_t *words) {
  DSP_NO_UNROLL
  for (; n_steps > 0; --n_steps, words += WORDS_A_STEP) words[0] = words[1] = zeros;
  return words;
}

/* Expand the patch of an output position. */
static void expand_patch_at(const mltk_conv_s8_params *params, const int8_t *input, uint32_t position, uint32_t *words,
                            int8_t *room) {
  const int32_t kernel_w = params->kernel_w, in_w = params->in_w, in_h = params->in_h;
  const size_t in_c = params->in_c;
  const int32_t left = (int32_t)(position % params->out_w) * params->stride_w - params->pad_left;
  const size_t row_size = (size_t)kernel_w * in_c;
  const int is_whole = left >= 0 && left + kernel_w <= in_w && params->dilation_w == 1;
  if (!is_whole || (row_size % 4u != 0 && params->kernel_h != 1)) {
    expand(conv_patch_at(params, input, position, room), conv_patch_size(params) / 4u, words);
    return;
  }
  /* Straight from the input: its rows are whole words, or there is only one. */
  const uint32_t zeros = dsp_even((uint8_t)params->in_zero * 0x01010101u);
  const size_t n_steps = (row_size + 3u) / 4u;
  const int32_t dilation_h = params->dilation_h;
  const size_t next_row = (size_t)dilation_h * (size_t)in_w * in_c;
  int32_t y = (int32_t)(position / params->out_w) * params->stride_h - params->pad_top;
  int32_t rows = params->kernel_h;
  for (; rows > 0 && y < 0; --rows, y += dilation_h) words = expand_zeros(zeros, n_steps, words);
  const int8_t *row = input + ((size_t)y * (size_t)in_w + (size_t)left) * in_c;
  for (; rows > 0 && y < in_h; --rows, y += dilation_h, row += next_row) words = expand(row, n_steps, words);
  for (; rows > 0; --rows) words = expand_zeros(zeros, n_steps, words);
}

/* Scale the sums of one channel at two positions to its two outputs. Apart, so that it has all registers. */
static __attribute__((noinline)) void finish_two(const mltk_conv_s8_params *params, uint32_t o, int32_t sum_0,
                                                 int32_t sum_1, int8_t *output_0, int8_t *output_1) {
  const int32_t multiplier = params->multipliers[o], shift = params->shifts[o];
  const dsp_range range = {params->out_zero, params->out_min, params->out_max};
  /* In this order: where there is one position only, both outputs are the same place. */
  output_1[o] = dsp_finish(sum_1, multiplier, shift, range);
  output_0[o] = dsp_finish(sum_0, multiplier, shift, range);
}

/* All channels of two positions; the same output twice for a single one. */
static void two_positions(const mltk_conv_s8_params *params, const uint32_t *patches, size_t n_steps, int8_t *output_0,
                          int8_t *output_1) {
  const uint32_t *weights = (const uint32_t *)params->weights;
  for (uint32_t o = 0; o < params->out_c; o += 2) {
    const int is_pair = o + 1 < params->out_c;
    const uint32_t next = is_pair ? o + 1 : o;
    int32_t sum_00 = params->bias[o], sum_01 = params->bias[next];
    int32_t sum_10 = sum_00, sum_11 = sum_01;
    const uint32_t *words = patches;
    const uint32_t *const end = patches + n_steps * WORDS_A_STEP;
    do {
      const uint32_t weight_0 = weights[0], weight_1 = weights[1];
      const uint32_t even_0 = words[0], odd_0 = words[1], even_1 = words[2], odd_1 = words[3];
      uint32_t weight = dsp_even(weight_0);
      sum_00 = dsp_mac(even_0, weight, sum_00);
      sum_10 = dsp_mac(even_1, weight, sum_10);
      weight = dsp_odd(weight_0);
      sum_00 = dsp_mac(odd_0, weight, sum_00);
      sum_10 = dsp_mac(odd_1, weight, sum_10);
      weight = dsp_even(weight_1);
      sum_01 = dsp_mac(even_0, weight, sum_01);
      sum_11 = dsp_mac(even_1, weight, sum_11);
      weight = dsp_odd(weight_1);
      sum_01 = dsp_mac(odd_0, weight, sum_01);
      sum_11 = dsp_mac(odd_1, weight, sum_11);
      weights += 2;
      words += WORDS_A_STEP;
    } while (words != end);
    finish_two(params, o, sum_00, sum_10, output_0, output_1);
    if (is_pair) finish_two(params, next, sum_01, sum_11, output_0, output_1);
  }
}

void mltk_conv_s8(const mltk_conv_s8_params *params, const int8_t *input, int8_t *output, void *scratch) {
  const uint32_t n_positions = (uint32_t)params->out_h * params->out_w;
  const size_t n_steps = conv_patch_size(params) / 4u;
  uint32_t *patches = (uint32_t *)scratch;
  int8_t *room = (int8_t *)(patches + n_steps * WORDS_A_STEP);
  for (uint32_t batch = 0; batch < params->batches; ++batch) {
    for (uint32_t position = 0; position < n_positions; position += 2) {
      const int is_pair = position + 1 < n_positions;
      expand_patch_at(params, input, position, patches, room);
      if (is_pair) expand_patch_at(params, input, position + 1, patches + 2, room);
      two_positions(params, patches, n_steps, output, is_pair ? output + params->out_c : output);
      output += is_pair ? 2u * params->out_c : params->out_c;
    }
    input += (size_t)params->in_h * params->in_w * params->in_c;
  }
}
