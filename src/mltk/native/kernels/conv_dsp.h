/* 2-D convolution with the DSP instructions of Cortex-M4, M7 and M33: two positions by two channels at once.
 *
 * The patches of two positions are expanded to int16 once, side by side: of four values of each, the first two words
 * hold values 0 and 2 of either patch, the next two 1 and 3, the order in which SXTB16 expands.
 *
 * A form writes add_products(). */
#ifndef MLTK_CONV_DSP_H_
#define MLTK_CONV_DSP_H_

#include "dsp.h"

enum { WORDS_A_STEP = 4 };

static inline void store_four(uint32_t *words, int position, uint32_t four) {
  words[position] = dsp_even(four);
  words[position + 2] = dsp_odd(four);
}

#include "conv_pairs.h"

/* Of position 0 with channel 0, 0 with 1, 1 with 0, 1 with 1. */
typedef struct {
  int32_t of_00, of_01, of_10, of_11;
} pair_sums;

/* Steps over the weights. */
static inline pair_sums add_products(pair_sums sums, const uint32_t *words, const uint32_t **next_weights,
                                     size_t n_steps);

/* All channels of two positions; the same output twice for a single one. */
static void two_positions(const mltk_conv_s8_params *params, const uint32_t *patches, size_t n_steps, int8_t *output_0,
                          int8_t *output_1) {
  const uint32_t *weights = (const uint32_t *)params->weights;
  const int32_t zero = params->out_zero;
  for (uint32_t o = 0; o < params->out_c; o += 2) {
    const uint32_t next = o + 1 < params->out_c ? o + 1 : o;
    pair_sums sums = {params->bias[o], params->bias[next], params->bias[o], params->bias[next]};
    sums = add_products(sums, patches, &weights, n_steps);
    /* The filled up channel first: it has the same place as the last one. */
    const finish_channel scale_1 = finish_channel_of(params->multipliers, params->shifts, next);
    finish_two(scale_1, zero, sums.of_01, sums.of_11, output_0 + next, output_1 + next);
    const finish_channel scale_0 = finish_channel_of(params->multipliers, params->shifts, o);
    finish_two(scale_0, zero, sums.of_00, sums.of_10, output_0 + o, output_1 + o);
  }
}

#endif /* MLTK_CONV_DSP_H_ */
