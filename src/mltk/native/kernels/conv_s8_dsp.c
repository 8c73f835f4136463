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

/* Expand one position's patch into every other pair of words. */
static void expand_patch(const int8_t *patch, size_t n_steps, uint32_t *words) {
  for (; n_steps > 0; --n_steps) {
    const uint32_t four = dsp_load(patch);
    words[0] = dsp_even(four);
    words[1] = dsp_odd(four);
    patch += 4;
    words += WORDS_A_STEP;
  }
}

/* All channels of two positions; the same output twice for a single one. */
static void two_positions(const mltk_conv_s8_params *params, const uint32_t *patches, size_t n_steps, int8_t *output_0,
                          int8_t *output_1) {
  const uint32_t *weights = (const uint32_t *)params->weights;
  const int32_t out_zero = params->out_zero, out_min = params->out_min, out_max = params->out_max;
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
    const int32_t multiplier = params->multipliers[o], shift = params->shifts[o];
    output_0[o] = dsp_finish(sum_00, multiplier, shift, out_zero, out_min, out_max);
    output_1[o] = dsp_finish(sum_10, multiplier, shift, out_zero, out_min, out_max);
    if (is_pair) {
      const int32_t multiplier_1 = params->multipliers[next], shift_1 = params->shifts[next];
      output_0[next] = dsp_finish(sum_01, multiplier_1, shift_1, out_zero, out_min, out_max);
      output_1[next] = dsp_finish(sum_11, multiplier_1, shift_1, out_zero, out_min, out_max);
    }
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
      expand_patch(conv_patch_at(params, input, position, room), n_steps, patches);
      if (is_pair) expand_patch(conv_patch_at(params, input, position + 1, room), n_steps, patches + 2);
      two_positions(params, patches, n_steps, output, is_pair ? output + params->out_c : output);
      output += is_pair ? 2u * params->out_c : params->out_c;
    }
    input += (size_t)params->in_h * params->in_w * params->in_c;
  }
}
