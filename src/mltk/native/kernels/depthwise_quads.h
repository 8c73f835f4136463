/* What the forms of the depthwise convolution share that work on four channels at once.
 *
 * A form writes four_products(params, taps, c, sums): the sums and the products of channels c to c + 3. */
#ifndef MLTK_DEPTHWISE_QUADS_H_
#define MLTK_DEPTHWISE_QUADS_H_

#include "depthwise_taps.h"
#include "thumb2.h"

typedef struct {
  int32_t c_0, c_1, c_2, c_3;
} four_sums;

static inline four_sums four_products(const mltk_conv_s8_params *params, const int8_t *const *taps, uint32_t c,
                                      four_sums sums);

size_t mltk_depthwise_conv_s8_scratch_bytes(const mltk_conv_s8_params *params) {
  return depthwise_scratch_bytes(params);
}

static inline void finish(const mltk_conv_s8_params *params, uint32_t o, int32_t sum, int8_t *output) {
  const finish_channel scale = finish_channel_of(params->multipliers, params->shifts, o);
  output[o] = finish_one(scale, params->out_zero, sum);
}

/* Channels c to c + 3 of one position, one output each. */
static void four_channels(const mltk_conv_s8_params *params, const int8_t *const *taps, uint32_t c, int8_t *output) {
  const int32_t *bias = params->bias + c;
  four_sums sums = {bias[0], bias[1], bias[2], bias[3]};
  sums = four_products(params, taps, c, sums);
  finish(params, c, sums.c_0, output);
  finish(params, c + 1, sums.c_1, output);
  finish(params, c + 2, sums.c_2, output);
  finish(params, c + 3, sums.c_3, output);
}

void mltk_depthwise_conv_s8(const mltk_conv_s8_params *params, const int8_t *input, int8_t *output, void *scratch) {
  const uint32_t n_positions = (uint32_t)params->out_h * params->out_w;
  const uint32_t in_c = params->in_c, depth_multiplier = (uint32_t)params->out_c / in_c;
  const int8_t **taps = (const int8_t **)scratch;
  const int8_t *zero_cell = depthwise_zero_cell(params, taps);
  int8_t *const begin = output;
  for (uint32_t batch = 0; batch < params->batches; ++batch) {
    for (uint32_t position = 0; position < n_positions; ++position) {
      depthwise_point_taps(params, input, zero_cell, position, taps);
      uint32_t c = 0;
      if (depth_multiplier == 1) {
        for (; c + 3 < in_c; c += 4) four_channels(params, taps, c, output);
      }
      for (uint32_t o = c * depth_multiplier; c < in_c; ++c) {
        for (uint32_t m = depth_multiplier; m > 0; --m, ++o) {
          finish(params, o, depthwise_sum(params, taps, c, o), output);
        }
      }
      output += params->out_c;
    }
    input += (size_t)params->in_h * params->in_w * in_c;
  }
  finish_activation(begin, (size_t)(output - begin), params->out_min, params->out_max);
}

#endif /* MLTK_DEPTHWISE_QUADS_H_ */
