/* float -> int8. A value that is not a number becomes the lowest. */
#include "mltk_nn.h"

void mltk_quantize_f32_s8(const mltk_quantize_f32_s8_params *params, const float *input, int8_t *output) {
  const float scale = params->scale;
  for (uint32_t left = params->count; left > 0; --left) {
    float value = *input++ / scale;
    /* Further than any zero point can bring back; what remains fits an int32_t. */
    value = value > -512.0f ? value : -512.0f;
    value = value < 512.0f ? value : 512.0f;
    int32_t whole = (int32_t)value;
    const float rest = value - (float)whole; /* exact: a half is rounded away from zero */
    whole += rest >= 0.5f ? 1 : rest <= -0.5f ? -1 : 0;
    whole += params->out_zero;
    *output++ = (int8_t)(whole < INT8_MIN ? INT8_MIN : whole > INT8_MAX ? INT8_MAX : whole);
  }
}
