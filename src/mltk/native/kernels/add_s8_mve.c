/* Sum and difference of two tensors with the vector unit of Cortex-M55, four values at once; see add_s8.c. */
#include "elementwise.h"
#include "mve.h"

/* x / 2^bits, a half rounded away from zero; `left` holds -bits. */
static inline int32x4_t divide(int32x4_t x, int32x4_t left) {
  return vrshlq_s32(vaddq_s32(x, vshrq_n_s32(vandq_s32(x, left), 31)), left);
}

static inline int32x4_t add(const mltk_add_s8_params *params, int32x4_t first, int32x4_t second) {
  const int32_t multiplier = (int32_t)((uint32_t)params->second_high << 11) | params->second_low;
  const int32x4_t value = vshlq_n_s32(vsubq_n_s32(second, params->second_zero), 20);
  const int32x4_t scaled = divide(vqrdmulhq_n_s32(value, multiplier), vdupq_n_s32(-params->second_right));
  int32x4_t sum = vaddq_n_s32(vmulq_n_s32(first, params->first_factor), params->offset);
  sum = vaddq_s32(sum, vmulq_n_s32(scaled, params->second_sign));
  sum = divide(vqrdmulhq_n_s32(sum, params->out_multiplier), vdupq_n_s32(-params->out_right));
  sum = vmaxq_s32(vaddq_n_s32(sum, params->out_zero), vdupq_n_s32(params->out_min));
  return vminq_s32(sum, vdupq_n_s32(params->out_max));
}

void mltk_add_s8(const mltk_add_s8_params *params, const int8_t *first, const int8_t *second, int8_t *output) {
  /* A copy, because a store of int8 may change anything for all that C knows. */
  const mltk_add_s8_params own = *params;
  const uint32_t first_step = own.shape.first_steps[ELEMENTWISE_ROW];
  const uint32_t second_step = own.shape.second_steps[ELEMENTWISE_ROW];
  const uint32x4_t first_places = vmulq_n_u32(vidupq_n_u32(0, 1), first_step);
  const uint32x4_t second_places = vmulq_n_u32(vidupq_n_u32(0, 1), second_step);
  elementwise_rows rows = elementwise_begin(first, second);
  do {
    const int8_t *a = rows.first, *b = rows.second;
    uint32_t left = own.shape.sizes[ELEMENTWISE_ROW];
    for (; left > 3; left -= 4, a += 4 * first_step, b += 4 * second_step, output += 4) {
      const int32x4_t values = vldrbq_gather_offset_s32(a, first_places);
      vstrbq_s32(output, add(&own, values, vldrbq_gather_offset_s32(b, second_places)));
    }
    if (left > 0) {
      const mve_pred16_t which = vctp32q(left);
      const int32x4_t values = vldrbq_gather_offset_z_s32(a, first_places, which);
      vstrbq_p_s32(output, add(&own, values, vldrbq_gather_offset_z_s32(b, second_places, which)), which);
      output += left;
    }
  } while (elementwise_next(&params->shape, &rows));
}
