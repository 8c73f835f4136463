/* Depthwise 2-D convolution for processors with multiply-accumulate of single values (Cortex-M3), four channels at
 * once. Weights [kernel_h][kernel_w][out_c]. */
#include "depthwise_quads.h"

static inline four_sums four_products(const mltk_conv_s8_params *params, const int8_t *const *taps, uint32_t c,
                                      four_sums sums) {
  const int8_t *weights = (const int8_t *)params->weights + c;
  const size_t out_c = params->out_c;
  NO_UNROLL
  for (uint32_t left = (uint32_t)params->kernel_h * params->kernel_w; left > 0; --left, weights += out_c) {
    const int8_t *values = *taps++ + c;
    sums.c_0 += values[0] * weights[0];
    sums.c_1 += values[1] * weights[1];
    sums.c_2 += values[2] * weights[2];
    sums.c_3 += values[3] * weights[3];
  }
  return sums;
}
