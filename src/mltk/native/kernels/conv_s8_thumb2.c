/* 2-D convolution for processors with multiply-accumulate of single values (Cortex-M3): two positions by four channels
 * at once, as many sums as the registers hold.
 *
 * Weights are [out_c / 4][patch words][4 values][4 channels] int8, patches and the last channels filled up with zeros.
 * The patches of two positions lie side by side, four values of one and four of the other. */
#include <stdint.h>

enum { WORDS_A_STEP = 2, CHANNELS = 4 };

static inline void store_four(uint32_t *words, int position, uint32_t four) { words[position] = four; }

#include "conv_pairs.h"

/* The channel o + c, or the last one where o + c is filled up. */
static inline uint32_t channel_at(const mltk_conv_s8_params *params, uint32_t o, uint32_t c) {
  const uint32_t last = params->out_c - 1u;
  return o + c < last ? o + c : last;
}

static inline void finish_at(const mltk_conv_s8_params *params, uint32_t channel, int32_t sum_0, int32_t sum_1,
                             int8_t *output_0, int8_t *output_1) {
  const int32_t zero = params->out_zero;
  const finish_channel scale = finish_channel_of(params->multipliers, params->shifts, channel, zero);
  finish_two(scale, zero, sum_0, sum_1, output_0 + channel, output_1 + channel);
}

static void two_positions(const mltk_conv_s8_params *params, const uint32_t *patches, size_t n_steps, int8_t *output_0,
                          int8_t *output_1) {
  const int8_t *weights = (const int8_t *)params->weights;
  const int8_t *const end = (const int8_t *)(patches + n_steps * WORDS_A_STEP);
  for (uint32_t o = 0; o < params->out_c; o += CHANNELS) {
    const uint32_t c_1 = channel_at(params, o, 1), c_2 = channel_at(params, o, 2), c_3 = channel_at(params, o, 3);
    int32_t sum_00 = params->bias[o], sum_01 = params->bias[c_1];
    int32_t sum_02 = params->bias[c_2], sum_03 = params->bias[c_3];
    int32_t sum_10 = sum_00, sum_11 = sum_01, sum_12 = sum_02, sum_13 = sum_03;
    const int8_t *values = (const int8_t *)patches;
    do {
#define STEP(k)                                                 \
  do {                                                          \
    const int32_t value_0 = values[k], value_1 = values[4 + k]; \
    int32_t weight = weights[4 * k];                            \
    sum_00 += value_0 * weight;                                 \
    sum_10 += value_1 * weight;                                 \
    weight = weights[4 * k + 1];                                \
    sum_01 += value_0 * weight;                                 \
    sum_11 += value_1 * weight;                                 \
    weight = weights[4 * k + 2];                                \
    sum_02 += value_0 * weight;                                 \
    sum_12 += value_1 * weight;                                 \
    weight = weights[4 * k + 3];                                \
    sum_03 += value_0 * weight;                                 \
    sum_13 += value_1 * weight;                                 \
  } while (0)
      STEP(0);
      STEP(1);
      STEP(2);
      STEP(3);
      values += 8;
      weights += 16;
    } while (values != end);
    /* Filled up channels first: they have the same place as the last one. */
    finish_at(params, c_3, sum_03, sum_13, output_0, output_1);
    finish_at(params, c_2, sum_02, sum_12, output_0, output_1);
    finish_at(params, c_1, sum_01, sum_11, output_0, output_1);
    finish_at(params, o, sum_00, sum_10, output_0, output_1);
  }
}
