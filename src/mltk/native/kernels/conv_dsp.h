/* 2-D convolution with the DSP instructions of Cortex-M4, M7 and M33: two positions by two channels at once.
 *
 * The patches of two positions are expanded to int16 once, side by side: of four values of each, the first two words
 * hold values 0 and 2 of either patch, the next two 1 and 3, the order in which SXTB16 expands.
 *
 * A form defines WEIGHT_WORDS (of two channels, for four values) and weights_at(). */
#ifndef MLTK_CONV_DSP_H_
#define MLTK_CONV_DSP_H_

#include "dsp.h"

/* Weights 0 and 2, and 1 and 3, of two channels. */
typedef struct {
  uint32_t even_0, even_1, odd_0, odd_1;
} dsp_weights;

static inline dsp_weights weights_at(const uint32_t *weights);

enum { WORDS_A_STEP = 4 };

static inline void store_four(uint32_t *words, int position, uint32_t four) {
  words[position] = dsp_even(four);
  words[position + 2] = dsp_odd(four);
}

#include "conv_pairs.h"

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
      const dsp_weights weight = weights_at(weights);
      const uint32_t even_0 = words[0], even_1 = words[1], odd_0 = words[2], odd_1 = words[3];
      sum_00 = dsp_mac(even_0, weight.even_0, sum_00);
      sum_10 = dsp_mac(even_1, weight.even_0, sum_10);
      sum_01 = dsp_mac(even_0, weight.even_1, sum_01);
      sum_11 = dsp_mac(even_1, weight.even_1, sum_11);
      sum_00 = dsp_mac(odd_0, weight.odd_0, sum_00);
      sum_10 = dsp_mac(odd_1, weight.odd_0, sum_10);
      sum_01 = dsp_mac(odd_0, weight.odd_1, sum_01);
      sum_11 = dsp_mac(odd_1, weight.odd_1, sum_11);
      weights += WEIGHT_WORDS;
      words += WORDS_A_STEP;
    } while (words != end);
    /* The filled up channel first: it has the same place as the last one. */
    const finish_channel scale_1 = finish_channel_of(params->multipliers, params->shifts, next, zero);
    finish_two(scale_1, zero, sum_01, sum_11, output_0 + next, output_1 + next);
    const finish_channel scale_0 = finish_channel_of(params->multipliers, params->shifts, o, zero);
    finish_two(scale_0, zero, sum_00, sum_10, output_0 + o, output_1 + o);
  }
}

#endif /* MLTK_CONV_DSP_H_ */
