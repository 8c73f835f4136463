/* Depthwise 2-D convolution in plain C. Weights [kernel_h][kernel_w][out_c]. */
#include "depthwise_taps.h"
#include "fixed_point.h"
#include "mltk_nn.h"

size_t mltk_depthwise_conv_s8_scratch_bytes(const mltk_conv_s8_params *params) {
  return depthwise_scratch_bytes(params);
}

void mltk_depthwise_conv_s8(const mltk_conv_s8_params *params, const int8_t *input, int8_t *output, void *scratch) {
  const uint32_t n_positions = (uint32_t)params->out_h * params->out_w;
  const uint32_t depth_multiplier = (uint32_t)params->out_c / params->in_c;
  const int8_t **taps = depthwise_taps_in(scratch);
  const int8_t *zero_cell = depthwise_zero_cell(params, taps);
  for (uint32_t batch = 0; batch < params->batches; ++batch) {
    for (uint32_t position = 0; position < n_positions; ++position) {
      depthwise_point_taps(params, input, zero_cell, position, taps);
      for (uint32_t c = 0, o = 0; c < params->in_c; ++c) {
        for (uint32_t m = depth_multiplier; m > 0; --m, ++o) {
          int32_t sum = depthwise_sum(params, taps, c, o);
          sum = mltk_requantize(sum, params->multipliers[o], params->shifts[o]) + params->out_zero;
          *output++ = mltk_clamp_s8(sum, params->out_min, params->out_max);
        }
      }
    }
    input += (size_t)params->in_h * params->in_w * params->in_c;
  }
}
