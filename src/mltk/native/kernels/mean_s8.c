/* Mean over any dimensions. */
#include "fixed_point.h"
#include "mltk_nn.h"

static int32_t sum_over(const mltk_mean_s8_params *params, const int8_t *start) {
  const size_t step = params->mean_steps[1];
  int32_t sum = params->offset;
  for (uint32_t outer = params->mean_sizes[0]; outer > 0; --outer, start += params->mean_steps[0]) {
    const int8_t *value = start;
    for (uint32_t inner = params->mean_sizes[1]; inner > 0; --inner, value += step) sum += *value;
  }
  return sum;
}

void mltk_mean_s8(const mltk_mean_s8_params *params, const int8_t *input, int8_t *output) {
  for (uint32_t outer = params->kept_sizes[0]; outer > 0; --outer, input += params->kept_steps[0]) {
    const int8_t *start = input;
    for (uint32_t inner = params->kept_sizes[1]; inner > 0; --inner, start += params->kept_steps[1]) {
      const int32_t mean = mltk_requantize(sum_over(params, start), params->multiplier, params->shift);
      *output++ = mltk_clamp_s8(mean + params->out_zero, INT8_MIN, INT8_MAX);
    }
  }
}
