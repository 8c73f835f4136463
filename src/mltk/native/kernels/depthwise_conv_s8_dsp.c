/* Depthwise 2-D convolution with DSP instructions, four channels at once. Weights [kernel_h][kernel_w][out_c]. */
#include "depthwise_taps.h"
#include "dsp.h"
#include "finish.h"
#include "mltk_nn.h"

size_t mltk_depthwise_conv_s8_scratch_bytes(const mltk_conv_s8_params *params) {
  return depthwise_scratch_bytes(params);
}

static inline void finish(const mltk_conv_s8_params *params, uint32_t o, int32_t sum, int8_t *output) {
  const finish_channel scale = finish_channel_of(params->multipliers, params->shifts, o, params->out_zero);
  output[o] = finish_one(scale, params->out_zero, sum);
}

/* Channels c to c + 3 of one position, one output each. */
static void four_channels(const mltk_conv_s8_params *params, const int8_t *const *taps, uint32_t c, int8_t *output) {
  const int8_t *weights = (const int8_t *)params->weights + c;
  const int32_t *bias = params->bias + c;
  const size_t out_c = params->out_c;
  int32_t sum_0 = bias[0], sum_1 = bias[1], sum_2 = bias[2], sum_3 = bias[3];
  FINISH_NO_UNROLL
  for (uint32_t left = (uint32_t)params->kernel_h * params->kernel_w; left > 0; --left, weights += out_c) {
    const uint32_t values = dsp_load(*taps++ + c), four = dsp_load(weights);
    const uint32_t even = dsp_even(values), odd = dsp_odd(values);
    const uint32_t weights_even = dsp_even(four), weights_odd = dsp_odd(four);
    sum_0 = __smlabb((int32_t)even, (int32_t)weights_even, sum_0);
    sum_1 = __smlabb((int32_t)odd, (int32_t)weights_odd, sum_1);
    sum_2 = __smlatt((int32_t)even, (int32_t)weights_even, sum_2);
    sum_3 = __smlatt((int32_t)odd, (int32_t)weights_odd, sum_3);
  }
  finish(params, c, sum_0, output);
  finish(params, c + 1, sum_1, output);
  finish(params, c + 2, sum_2, output);
  finish(params, c + 3, sum_3, output);
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
