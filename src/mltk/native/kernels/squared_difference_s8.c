/* Squared difference of two tensors. The common scale is twice the larger one divided by 2^7: a factor of 2^6 for the
 * input of the larger scale. */
#include "elementwise.h"
#include "fixed_point.h"
#include "mltk_nn.h"

static inline int8_t squared_difference(const mltk_squared_difference_s8_params *params, int32_t first,
                                        int32_t second) {
  const int32_t larger = (first - params->first_zero) * (1 << 6);
  const int32_t smaller =
      mltk_requantize((second - params->second_zero) * (1 << 7), params->second_multiplier, params->second_shift);
  const int32_t difference = larger - smaller; /* at most 2^15: its square has 31 bits */
  const int32_t output = mltk_requantize(difference * difference, params->out_multiplier, params->out_shift);
  return mltk_clamp_s8(output + params->out_zero, INT8_MIN, INT8_MAX);
}

void mltk_squared_difference_s8(const mltk_squared_difference_s8_params *params, const int8_t *first,
                                const int8_t *second, int8_t *output) {
  /* A copy, because a store of int8 may change anything for all that C knows. */
  const mltk_squared_difference_s8_params own = *params;
  const uint32_t first_step = own.shape.first_steps[ELEMENTWISE_ROW];
  const uint32_t second_step = own.shape.second_steps[ELEMENTWISE_ROW];
  elementwise_rows rows = elementwise_begin(first, second);
  do {
    const int8_t *a = rows.first, *b = rows.second;
    for (uint32_t left = own.shape.sizes[ELEMENTWISE_ROW]; left > 0; --left, a += first_step, b += second_step) {
      *output++ = squared_difference(&own, *a, *b);
    }
  } while (elementwise_next(&params->shape, &rows));
}
