/* Depthwise 2-D convolution with DSP instructions, four channels at once. Weights [kernel_h][kernel_w][out_c]. */
#include "depthwise_quads.h"
#include "dsp.h"

static inline four_sums four_products(const mltk_conv_s8_params *params, const int8_t *const *taps, uint32_t c,
                                      four_sums sums) {
  const int8_t *weights = (const int8_t *)params->weights + c;
  const size_t out_c = params->out_c;
  NO_UNROLL
  for (uint32_t left = (uint32_t)params->kernel_h * params->kernel_w; left > 0; --left, weights += out_c) {
    const uint32_t values = load_four(*taps++ + c), four = load_four(weights);
    const uint32_t even = dsp_even(values), odd = dsp_odd(values);
    const uint32_t weights_even = dsp_even(four), weights_odd = dsp_odd(four);
    sums.c_0 = __smlabb((int32_t)even, (int32_t)weights_even, sums.c_0);
    sums.c_1 = __smlabb((int32_t)odd, (int32_t)weights_odd, sums.c_1);
    sums.c_2 = __smlatt((int32_t)even, (int32_t)weights_even, sums.c_2);
    sums.c_3 = __smlatt((int32_t)odd, (int32_t)weights_odd, sums.c_3);
  }
  return sums;
}
