/* Fully connected layer for processors with multiply-accumulate of single values (Cortex-M3), four channels at once.
 * Weights [out_c / 4][in_c][4 channels], the last channels filled up with zeros. */
#include "thumb2.h"

enum { CHANNELS = 4 };

typedef struct {
  int32_t c[CHANNELS];
} four_sums;

/* What four channels make of one row. */
static inline four_sums four_channels(const int8_t *input, const int8_t *weights, uint32_t in_c) {
  four_sums sums = {{0, 0, 0, 0}};
  for (uint32_t left = in_c; left > 0; --left, weights += CHANNELS) {
    const int32_t value = *input++;
    for (uint32_t c = 0; c < CHANNELS; ++c) sums.c[c] += value * weights[c];
  }
  return sums;
}

void mltk_fully_connected_s8(const mltk_fully_connected_s8_params *params, const int8_t *input, int8_t *output) {
  const int32_t zero = params->out_zero;
  const uint32_t in_c = params->in_c, out_c = params->out_c;
  int8_t *const begin = output;
  for (uint32_t row = params->rows; row > 0; --row, input += in_c) {
    const int8_t *weights = (const int8_t *)params->weights;
    for (uint32_t o = 0; o < out_c; o += CHANNELS, weights += (size_t)in_c * CHANNELS) {
      const four_sums sums = four_channels(input, weights, in_c);
      for (uint32_t c = 0; c < CHANNELS && o + c < out_c; ++c) {
        const finish_channel scale = finish_channel_of(params->multipliers, params->shifts, o + c);
        *output++ = finish_one(scale, zero, sums.c[c] + params->bias[o + c]);
      }
    }
  }
  finish_activation(begin, (size_t)(output - begin), params->out_min, params->out_max);
}
