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

static void add_four(uint32_t four, const uint32_t *weights, int32_t *sums) {
  const uint32_t even = dsp_even(four), odd = dsp_odd(four);
  for (int c = 0; c < CHANNELS; ++c) {
    sums[c] = dsp_mac(even, dsp_even(weights[c]), sums[c]);
    sums[c] = dsp_mac(odd, dsp_odd(weights[c]), sums[c]);
  }
}

void mltk_fully_connected_s8(const mltk_fully_connected_s8_params *params, const int8_t *input, int8_t *output) {
  const int32_t zero = params->out_zero;
  int8_t *const begin = output;
  for (uint32_t row = params->rows; row > 0; --row) {
    const uint32_t *weights = (const uint32_t *)params->weights;
    for (uint32_t o = 0; o < params->out_c; o += CHANNELS) {
      int32_t sums[CHANNELS] = {0, 0, 0, 0};
      const int8_t *next = input;
      for (uint32_t left = params->in_c / 4u; left > 0; --left, next += 4, weights += CHANNELS) {
        add_four(load_four(next), weights, sums);
      }
      if (params->in_c % 4u) {
        add_four(load_last(next, params->in_c % 4u), weights, sums);
        weights += CHANNELS;
      }
      for (uint32_t c = 0; c < CHANNELS && o + c < params->out_c; ++c) {
        const finish_channel scale = finish_channel_of(params->multipliers, params->shifts, o + c, zero);
        *output++ = finish_one(scale, zero, sums[c] + params->bias[o + c]);
      }
    }
    input += params->in_c;
  }
  finish_activation(begin, (size_t)(output - begin), params->out_min, params->out_max);
}
