/* Fully connected layer with the vector unit of Cortex-M55. Weights [out_c / 4][in_c / 16][4 channels][16], filled up
 * with zeros. */
#include "mve.h"

void mltk_fully_connected_s8(const mltk_fully_connected_s8_params *params, const int8_t *input, int8_t *output) {
  const mve_scaling scaling = {params->bias,     params->multipliers, params->shifts, params->out_c,
                               params->out_zero, params->out_min,     params->out_max};
  for (uint32_t row = params->rows; row > 0; --row, input += params->in_c, output += params->out_c) {
    const int8_t *weights = (const int8_t *)params->weights;
    for (uint32_t o = 0; o < params->out_c; o += MVE_CHANNELS) {
      int32x4_t sums;
      weights = mve_dots(input, weights, params->in_c, &sums);
      mve_finish(&scaling, o, sums, output);
    }
  }
}
