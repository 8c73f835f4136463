/* int8 -> float. */
#include "mltk_nn.h"

void mltk_dequantize_s8_f32(const mltk_dequantize_s8_f32_params *params, const int8_t *input, float *output) {
  const float scale = params->scale;
  const int32_t zero = params->in_zero;
  for (uint32_t left = params->count; left > 0; --left) *output++ = scale * (float)(*input++ - zero);
}
