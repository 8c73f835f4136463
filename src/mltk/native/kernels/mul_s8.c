/* Product of two tensors. */
#include "elementwise.h"
#include "fixed_point.h"
#include "mltk_nn.h"

static inline int8_t mul(const mltk_mul_s8_params *params, int32_t first, int32_t second) {
  const int32_t product = (first - params->first_zero) * (second - params->second_zero);
  const int32_t output = mltk_requantize(product, params->multiplier, params->shift);
  return mltk_clamp_s8(output + params->out_zero, params->out_min, params->out_max);
}

void mltk_mul_s8(const mltk_mul_s8_params *params, const int8_t *first, const int8_t *second, int8_t *output) {
  /* A copy, because a store of int8 may change anything for all that C knows. */
  const mltk_mul_s8_params own = *params;
  const uint32_t count = own.shape.sizes[ELEMENTWISE_ROW];
  const uint32_t first_step = own.shape.first_steps[ELEMENTWISE_ROW];
  const uint32_t second_step = own.shape.second_steps[ELEMENTWISE_ROW];
  elementwise_rows rows = elementwise_begin(first, second);
  do {
    const int8_t *a = rows.first, *b = rows.second;
    if (elementwise_is_plain(&params->shape)) {
      for (uint32_t left = count; left > 0; --left) *output++ = mul(&own, *a++, *b++);
    } else {
      for (uint32_t left = count; left > 0; --left, a += first_step, b += second_step) *output++ = mul(&own, *a, *b);
    }
  } while (elementwise_next(&params->shape, &rows));
}
