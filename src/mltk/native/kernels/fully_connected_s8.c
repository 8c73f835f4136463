/* Fully connected layer, reference form: weights [out_c][in_c]. */
#include "fixed_point.h"
#include "mltk_nn.h"

void mltk_fully_connected_s8(const mltk_fully_connected_s8_params *params, const int8_t *input, int8_t *output) {
  for (uint32_t row = 0; row < params->rows; ++row) {
    const int8_t *weights = (const int8_t *)params->weights;
    for (uint32_t o = 0; o < params->out_c; ++o) {
      int32_t sum = params->bias[o];
      for (uint32_t k = 0; k < params->in_c; ++k) sum += input[k] * weights[k];
      weights += params->in_c;
      sum = mltk_requantize(sum, params->multipliers[o], params->shifts[o]) + params->out_zero;
      *output++ = mltk_clamp_s8(sum, params->out_min, params->out_max);
    }
    input += params->in_c;
  }
}
