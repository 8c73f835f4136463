/* 2-D convolution with the DSP instructions of Cortex-M4, M7 and M33: two positions by two channels at once.
 *
 * Weights are words of four int8: [out_c / 2][patch words][2 channels], patches and an odd last channel filled up with
 * zeros. The patches of two positions are expanded to int16 once, side by side: of four values of each, the first two
 * words hold values 0 and 2 of either patch, the next two 1 and 3, the order in which SXTB16 expands the weights. */
#include "conv_patch.h"
#include "dsp.h"
#include "finish.h"
#include "mltk_nn.h"

enum { WORDS_A_STEP = 4 }; /* of two positions' patches, for four values of each */

size_t mltk_conv_s8_scratch_bytes(const mltk_conv_s8_params *params) { return conv_scratch_bytes(params); }

/* Expand the values of one position into every other word; return where the next ones go. */
static inline uint32_t *expand(const int8_t *values, size_t n_steps, uint32_t *words) {
  FINISH_NO_UNROLL
  for (; n_steps > 0; --n_steps, values += 4, words += WORDS_A_STEP) {
    const uint32_t four = dsp_load(values);
    words[0] = dsp_even(four);
    words[2] = dsp_odd(four);
  }
  return words;
}

/* The same for two positions. */
static inline uint32_t *expand_two(const int8_t *values_0, const int8_t *values_1, size_t n_steps, uint32_t *words) {
  FINISH_NO_UNROLL
  for (; n_steps > 0; --n_steps, values_0 += 4, values_1 += 4, words += WORDS_A_STEP) {
    const uint32_t four_0 = dsp_load(values_0), four_1 = dsp_load(values_1);
    words[0] = dsp_even(four_0);
    words[1] = dsp_even(four_1);
    words[2] = dsp_odd(four_0);
    words[3] = dsp_odd(four_1);
  }
  return words;
}

/* The patches of two positions; the same position twice for a single one. */
static void expand_patches(const mltk_conv_s8_params *params, const int8_t *input, conv_cursor at_0, conv_cursor at_1,
                           uint32_t *words, int8_t *room) {
  const size_t row_size = (size_t)params->kernel_w * params->in_c;
  if (conv_is_inside(params, at_0) && conv_is_inside(params, at_1) && (row_size % 4u == 0 || params->kernel_h == 1)) {
    /* Straight from the input: its rows are whole words, or there is only one. */
    const size_t n_steps = (row_size + 3u) / 4u;
    const size_t next_row = (size_t)params->dilation_h * params->in_w * params->in_c;
    const int8_t *row_0 = conv_corner(params, input, at_0), *row_1 = conv_corner(params, input, at_1);
    for (uint32_t rows = params->kernel_h; rows > 0; --rows, row_0 += next_row, row_1 += next_row) {
      words = expand_two(row_0, row_1, n_steps, words);
    }
    return;
  }
  const size_t n_steps = conv_patch_size(params) / 4u;
  conv_gather_patch(params, input, at_0.top, at_0.left, room);
  expand(room, n_steps, words);
  conv_gather_patch(params, input, at_1.top, at_1.left, room);
  expand(room, n_steps, words + 1);
}

/* All channels of two positions; the same output twice for a single one. */
static void two_positions(const mltk_conv_s8_params *params, const uint32_t *patches, size_t n_steps, int8_t *output_0,
                          int8_t *output_1) {
  const uint32_t *weights = (const uint32_t *)params->weights;
  const uint32_t *const end = patches + n_steps * WORDS_A_STEP;
  const int32_t zero = params->out_zero;
  for (uint32_t o = 0; o < params->out_c; o += 2) {
    const uint32_t next = o + 1 < params->out_c ? o + 1 : o;
    int32_t sum_00 = params->bias[o], sum_01 = params->bias[next];
    int32_t sum_10 = sum_00, sum_11 = sum_01;
    const uint32_t *words = patches;
    do {
      const uint32_t weight_0 = weights[0], weight_1 = weights[1];
      const uint32_t even_0 = words[0], even_1 = words[1], odd_0 = words[2], odd_1 = words[3];
      uint32_t weight = dsp_even(weight_0);
      sum_00 = dsp_mac(even_0, weight, sum_00);
      sum_10 = dsp_mac(even_1, weight, sum_10);
      weight = dsp_even(weight_1);
      sum_01 = dsp_mac(even_0, weight, sum_01);
      sum_11 = dsp_mac(even_1, weight, sum_11);
      weight = dsp_odd(weight_0);
      sum_00 = dsp_mac(odd_0, weight, sum_00);
      sum_10 = dsp_mac(odd_1, weight, sum_10);
      weight = dsp_odd(weight_1);
      sum_01 = dsp_mac(odd_0, weight, sum_01);
      sum_11 = dsp_mac(odd_1, weight, sum_11);
      weights += 2;
      words += WORDS_A_STEP;
    } while (words != end);
    /* The filled up channel first: it has the same place as the last one. */
    const finish_channel scale_1 = finish_channel_of(params->multipliers, params->shifts, next, zero);
    finish_two(scale_1, zero, sum_01, sum_11, output_0 + next, output_1 + next);
    const finish_channel scale_0 = finish_channel_of(params->multipliers, params->shifts, o, zero);
    finish_two(scale_0, zero, sum_00, sum_10, output_0 + o, output_1 + o);
  }
}

void mltk_conv_s8(const mltk_conv_s8_params *params, const int8_t *input, int8_t *output, void *scratch) {
  const uint32_t n_positions = (uint32_t)params->out_h * params->out_w;
  const size_t n_steps = conv_patch_size(params) / 4u, out_c = params->out_c;
  uint32_t *patches = (uint32_t *)scratch;
  int8_t *room = (int8_t *)(patches + n_steps * WORDS_A_STEP);
  int8_t *const begin = output;
  for (uint32_t batch = params->batches; batch > 0; --batch) {
    conv_cursor at = conv_begin(params);
    for (uint32_t left = n_positions; left > 0;) {
      const conv_cursor at_0 = at;
      const uint32_t n = left > 1 ? 2 : 1;
      if (n == 2) conv_next(params, &at);
      expand_patches(params, input, at_0, at, patches, room);
      two_positions(params, patches, n_steps, output, output + (n - 1u) * out_c);
      conv_next(params, &at);
      output += n * out_c;
      left -= n;
    }
    input += (size_t)params->in_h * params->in_w * params->in_c;
  }
  finish_activation(begin, (size_t)(output - begin), params->out_min, params->out_max);
}
