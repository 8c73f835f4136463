/* 2-D convolution with DSP instructions and weights of eight bits: words of four int8, [out_c / 2][patch words][2
 * channels], patches and an odd last channel filled up with zeros. */
#include "conv_dsp.h"

static inline pair_sums add_products(pair_sums sums, const uint32_t *words, const uint32_t **next_weights,
                                     size_t n_steps) {
  const uint32_t *weights = *next_weights;
  const uint32_t *const end = words + n_steps * WORDS_A_STEP;
  do {
    const uint32_t channel_0 = weights[0], channel_1 = weights[1];
    const uint32_t even_0 = words[0], even_1 = words[1], odd_0 = words[2], odd_1 = words[3];
    uint32_t weight = dsp_even(channel_0);
    sums.of_00 = dsp_mac(even_0, weight, sums.of_00);
    sums.of_10 = dsp_mac(even_1, weight, sums.of_10);
    weight = dsp_even(channel_1);
    sums.of_01 = dsp_mac(even_0, weight, sums.of_01);
    sums.of_11 = dsp_mac(even_1, weight, sums.of_11);
    weight = dsp_odd(channel_0);
    sums.of_00 = dsp_mac(odd_0, weight, sums.of_00);
    sums.of_10 = dsp_mac(odd_1, weight, sums.of_10);
    weight = dsp_odd(channel_1);
    sums.of_01 = dsp_mac(odd_0, weight, sums.of_01);
    sums.of_11 = dsp_mac(odd_1, weight, sums.of_11);
    weights += 2;
    words += WORDS_A_STEP;
  } while (words != end);
  *next_weights = weights;
  return sums;
}
