/* Depthwise 2-D convolution, reference form. */
#include "fixed_point.h"
#include "mltk_nn.h"

size_t mltk_depthwise_conv_s8_scratch_bytes(const mltk_conv_s8_params *params) {
  (void)params;
  return 0;
}

static int32_t sum_taps(const mltk_conv_s8_params *params, const int8_t *input, int32_t top, int32_t left, int32_t in_c,
                        int32_t out_c) {
  const int8_t *weights = (const int8_t *)params->weights + out_c;
  int32_t sum = params->bias[out_c];
  for (int32_t ky = 0; ky < params->kernel_h; ++ky) {
    const int32_t y = top + ky * params->dilation_h;
    for (int32_t kx = 0; kx < params->kernel_w; ++kx) {
      const int32_t x = left + kx * params->dilation_w;
      const int inside = y >= 0 && y < params->in_h && x >= 0 && x < params->in_w;
      const int32_t value =
          inside ? input[((size_t)y * params->in_w + (size_t)x) * params->in_c + (size_t)in_c] : params->in_zero;
      sum += value * weights[((size_t)ky * params->kernel_w + (size_t)kx) * params->out_c];
    }
  }
  return sum;
}

void mltk_depthwise_conv_s8(const mltk_conv_s8_params *params, const int8_t *input, int8_t *output, void *scratch) {
  const int32_t depth_multiplier = params->out_c / params->in_c;
  (void)scratch;
  for (int32_t batch = 0; batch < params->batches; ++batch) {
    for (int32_t y = 0; y < params->out_h; ++y) {
      for (int32_t x = 0; x < params->out_w; ++x) {
        for (int32_t o = 0; o < params->out_c; ++o) {
          int32_t sum = sum_taps(params, input, y * params->stride_h - params->pad_top,
                                 x * params->stride_w - params->pad_left, o / depth_multiplier, o);
          sum = mltk_requantize(sum, params->multipliers[o], params->shifts[o]) + params->out_zero;
          *output++ = mltk_clamp_s8(sum, params->out_min, params->out_max);
        }
      }
    }
    input += (size_t)params->in_h * params->in_w * params->in_c;
  }
}
