/* Sum and difference of two tensors. Both inputs are brought to a common scale, twice the larger one divided by 2^20:
 * to the input of the larger scale that is a factor of 2^19, exactly, so only the other one has to be scaled. */
#include "elementwise.h"
#include "fixed_point.h"
#include "mltk_nn.h"

static inline int8_t add(const mltk_add_s8_params *params, int32_t first, int32_t second) {
  /* ((second << 20) * multiplier + 2^30) >> 31 in 32 bits: the multiplier comes in two parts. */
  const int32_t value = second - params->second_zero;
  const int32_t scaled = value * params->second_high + ((value * params->second_low + (1 << 10)) >> 11);
  const int32_t sum = first * params->first_factor + params->offset +
                      params->second_sign * elementwise_divide(scaled, params->second_right);
  const int32_t output = elementwise_divide(mltk_multiply_high(sum, params->out_multiplier), params->out_right);
  return mltk_clamp_s8(output + params->out_zero, params->out_min, params->out_max);
}

void mltk_add_s8(const mltk_add_s8_params *params, const int8_t *first, const int8_t *second, int8_t *output) {
  /* A copy, because a store of int8 may change anything for all that C knows. */
  const mltk_add_s8_params own = *params;
  const uint32_t count = own.shape.sizes[ELEMENTWISE_ROW];
  const uint32_t first_step = own.shape.first_steps[ELEMENTWISE_ROW];
  const uint32_t second_step = own.shape.second_steps[ELEMENTWISE_ROW];
  elementwise_rows rows = elementwise_begin(first, second);
  do {
    const int8_t *a = rows.first, *b = rows.second;
    if (elementwise_is_plain(&params->shape)) {
      for (uint32_t left = count; left > 0; --left) *output++ = add(&own, *a++, *b++);
    } else {
      for (uint32_t left = count; left > 0; --left, a += first_step, b += second_step) *output++ = add(&own, *a, *b);
    }
  } while (elementwise_next(&params->shape, &rows));
}
