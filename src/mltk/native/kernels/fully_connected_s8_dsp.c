/* Fully connected layer with DSP instructions, four channels at once. Weights are words of four int8:
 * [out_c / 4][in_c / 4][4 channels], filled up with zeros. */
#include "dsp.h"
#include "mltk_nn.h"
#include "thumb2.h"

enum { CHANNELS = 4 };

/* Four values of an input row, the last ones filled up with zeros. */
static uint32_t load_last(const int8_t *input, uint32_t count) {
  uint32_t four = 0;
  for (uint32_t k = 0; k < count; ++k) four |= (uint32_t)(uint8_t)input[k] << (8u * k);
  return four;
}

typedef struct {
  int32_t of_0, of_1, of_2, of_3; /* channels */
} four_sums;

static inline int32_t add_word(uint32_t even, uint32_t odd, uint32_t weights, int32_t sum) {
  return dsp_mac(odd, dsp_odd(weights), dsp_mac(even, dsp_even(weights), sum));
}

static inline four_sums add_four(uint32_t four, const uint32_t *weights, four_sums sums) {
  const uint32_t even = dsp_even(four), odd = dsp_odd(four);
  sums.of_0 = add_word(even, odd, weights[0], sums.of_0);
  sums.of_1 = add_word(even, odd, weights[1], sums.of_1);
  sums.of_2 = add_word(even, odd, weights[2], sums.of_2);
  sums.of_3 = add_word(even, odd, weights[3], sums.of_3);
  return sums;
}

/* What four channels make of one row. */
static four_sums four_channels(const int8_t *input, const uint32_t *weights, uint32_t in_c) {
  four_sums sums = {0, 0, 0, 0};
  for (uint32_t left = in_c / 4u; left > 0; --left, input += 4, weights += CHANNELS) {
    sums = add_four(load_four(input), weights, sums);
  }
  return in_c % 4u == 0 ? sums : add_four(load_last(input, in_c % 4u), weights, sums);
}

void mltk_fully_connected_s8(const mltk_fully_connected_s8_params *params, const int8_t *input, int8_t *output) {
  const int32_t zero = params->out_zero;
  const uint32_t in_c = params->in_c, out_c = params->out_c;
  int8_t *const begin = output;
  for (uint32_t row = params->rows; row > 0; --row, input += in_c) {
    const uint32_t *weights = (const uint32_t *)params->weights;
    for (uint32_t o = 0; o < out_c; o += CHANNELS, weights += (size_t)(in_c + 3u) / 4u * CHANNELS) {
      const four_sums all = four_channels(input, weights, in_c);
      const int32_t sums[CHANNELS] = {all.of_0, all.of_1, all.of_2, all.of_3};
      for (uint32_t c = 0; c < CHANNELS && o + c < out_c; ++c) {
        const finish_channel scale = finish_channel_of(params->multipliers, params->shifts, o + c);
        *output++ = finish_one(scale, zero, sums[c] + params->bias[o + c]);
      }
    }
  }
  finish_activation(begin, (size_t)(output - begin), params->out_min, params->out_max);
}
