/* 2-D convolution, reference form: weights [out_c][kernel_h][kernel_w][in_c]. */
#include "fixed_point.h"
#include "mltk_nn.h"

/* One position's patch of the input, [kernel_h][kernel_w][in_c], with the zero point where it leaves the input. */
static void gather_patch(const mltk_conv_s8_params *params, const int8_t *input, int32_t top, int32_t left,
                         int8_t *patch) {
  for (int32_t ky = 0; ky < params->kernel_h; ++ky) {
    const int32_t y = top + ky * params->dilation_h;
    for (int32_t kx = 0; kx < params->kernel_w; ++kx) {
      const int32_t x = left + kx * params->dilation_w;
      const int inside = y >= 0 && y < params->in_h && x >= 0 && x < params->in_w;
      const int8_t *cell = inside ? input + ((size_t)y * params->in_w + (size_t)x) * params->in_c : 0;
      for (int32_t c = 0; c < params->in_c; ++c) *patch++ = cell ? cell[c] : params->in_zero;
    }
  }
}

size_t mltk_conv_s8_scratch_bytes(const mltk_conv_s8_params *params) {
  return (size_t)params->kernel_h * params->kernel_w * params->in_c;
}

void mltk_conv_s8(const mltk_conv_s8_params *params, const int8_t *input, int8_t *output, void *scratch) {
  const size_t patch_size = mltk_conv_s8_scratch_bytes(params);
  int8_t *patch = (int8_t *)scratch;
  for (int32_t batch = 0; batch < params->batches; ++batch) {
    for (int32_t y = 0; y < params->out_h; ++y) {
      for (int32_t x = 0; x < params->out_w; ++x) {
        gather_patch(params, input, y * params->stride_h - params->pad_top, x * params->stride_w - params->pad_left,
                     patch);
        const int8_t *weights = params->weights;
        for (int32_t o = 0; o < params->out_c; ++o) {
          int32_t sum = params->bias[o];
          for (size_t k = 0; k < patch_size; ++k) sum += patch[k] * weights[k];
          weights += patch_size;
          sum = mltk_requantize(sum, params->multipliers[o], params->shifts[o]) + params->out_zero;
          *output++ = mltk_clamp_s8(sum, params->out_min, params->out_max);
        }
      }
    }
    input += (size_t)params->in_h * params->in_w * params->in_c;
  }
}
