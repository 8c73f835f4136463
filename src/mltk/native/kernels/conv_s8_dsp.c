/* 2-D convolution with DSP instructions and weights of eight bits: words of four int8, [out_c / 2][patch words][2
 * channels], patches and an odd last channel filled up with zeros. */
enum { WEIGHT_WORDS = 2 };

#include "conv_dsp.h"

static inline dsp_weights weights_at(const uint32_t *weights) {
  const uint32_t channel_0 = weights[0], channel_1 = weights[1];
  const dsp_weights found = {dsp_even(channel_0), dsp_even(channel_1), dsp_odd(channel_0), dsp_odd(channel_1)};
  return found;
}
