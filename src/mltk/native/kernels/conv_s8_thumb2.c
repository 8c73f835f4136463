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
  const finish_channel scale = finish_channel_of(params->multipliers, params->shifts, channel);
  finish_two(scale, zero, sum_0, sum_1, output_0 + channel, output_1 + channel);
}

/* One value of each position by the weights of four channels: 0 to 3 are the sums of the first position, 4 to 7 those
 * of the second. In assembler, because eight sums leave five registers: compilers want more, put sums onto the stack
 * and take a fifth more instructions. */
#define MULTIPLY(k, c, first, second)                \
  "ldrsb %[weight], [%[weights], #(4 * " #k " + " #c \
  ")]\n\t"                                           \
  "mla %" #first ", %[value_0], %[weight], %" #first \
  "\n\t"                                             \
  "mla %" #second ", %[value_1], %[weight], %" #second "\n\t"
#define TERM(k)                                                                                                     \
  "ldrsb %[value_0], [%[values], #" #k                                                                              \
  "]\n\t"                                                                                                           \
  "ldrsb %[value_1], [%[values], #(4 + " #k ")]\n\t" MULTIPLY(k, 0, 0, 4) MULTIPLY(k, 1, 1, 5) MULTIPLY(k, 2, 2, 6) \
      MULTIPLY(k, 3, 3, 7)

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
      int32_t value_0, value_1, weight;
      __asm__(TERM(0) TERM(1) TERM(2) TERM(3)
              : "+r"(sum_00), "+r"(sum_01), "+r"(sum_02), "+r"(sum_03), "+r"(sum_10), "+r"(sum_11), "+r"(sum_12),
                "+r"(sum_13), [value_0] "=&r"(value_0), [value_1] "=&r"(value_1), [weight] "=&r"(weight)
              : [values] "r"(values), [weights] "r"(weights)
              : "memory");
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
