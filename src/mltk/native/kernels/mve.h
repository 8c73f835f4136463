/* What the forms for the vector unit of Armv8.1-M (Cortex-M55) share: dot products of 16 int8 at once, and the way from
 * four channels' sums to their int8 outputs. */
#ifndef MLTK_MVE_H_
#define MLTK_MVE_H_

#if !defined(__ARM_FEATURE_MVE)
#error "this model was compiled by mltk for a processor with MVE: compile it for another --target"
#endif

#include <arm_mve.h>

#include "mltk_nn.h"

enum { MVE_CHANNELS = 4, MVE_TERMS = 16 };

/* How sums become outputs; arrays hold one value a channel. */
typedef struct {
  const int32_t *bias, *multipliers;
  const int8_t *shifts;
  uint32_t channels;
  int32_t zero, lowest, highest;
} mve_scaling;

/* The products' sums of n_terms values with four channels' weights, [terms / 16][4][16]; the weights' last terms are
 * filled up with zeros. Returns where the next channels' weights begin. */
static inline const int8_t *mve_dots(const int8_t *values, const int8_t *weights, uint32_t n_terms, int32x4_t *sums) {
  int32_t sum_0 = 0, sum_1 = 0, sum_2 = 0, sum_3 = 0;
  for (uint32_t left = n_terms / MVE_TERMS; left > 0; --left, values += MVE_TERMS, weights += 4 * MVE_TERMS) {
    const int8x16_t value = vldrbq_s8(values);
    sum_0 = vmladavaq_s8(sum_0, value, vldrbq_s8(weights));
    sum_1 = vmladavaq_s8(sum_1, value, vldrbq_s8(weights + MVE_TERMS));
    sum_2 = vmladavaq_s8(sum_2, value, vldrbq_s8(weights + 2 * MVE_TERMS));
    sum_3 = vmladavaq_s8(sum_3, value, vldrbq_s8(weights + 3 * MVE_TERMS));
  }
  if (n_terms % MVE_TERMS != 0) {
    const int8x16_t value = vldrbq_z_s8(values, vctp8q(n_terms % MVE_TERMS));
    sum_0 = vmladavaq_s8(sum_0, value, vldrbq_s8(weights));
    sum_1 = vmladavaq_s8(sum_1, value, vldrbq_s8(weights + MVE_TERMS));
    sum_2 = vmladavaq_s8(sum_2, value, vldrbq_s8(weights + 2 * MVE_TERMS));
    sum_3 = vmladavaq_s8(sum_3, value, vldrbq_s8(weights + 3 * MVE_TERMS));
    weights += 4 * MVE_TERMS;
  }
  const int32x4_t all = {sum_0, sum_1, sum_2, sum_3};
  *sums = all;
  return weights;
}

/* value * multiplier * 2^(shift - 31) of each of four, with the roundings of mltk_requantize. */
static inline int32x4_t mve_requantize(int32x4_t value, int32x4_t multiplier, int32x4_t shift) {
  const int32x4_t none = vdupq_n_s32(0);
  const int32x4_t to_right = vminq_s32(shift, none); /* negative: shifts to the right */
  value = vqrdmulhq_s32(vshlq_s32(value, vmaxq_s32(shift, none)), multiplier);
  /* A half is rounded away from zero; without a shift there is none. */
  value = vaddq_s32(value, vshrq_n_s32(vandq_s32(value, to_right), 31));
  return vrshlq_s32(value, to_right);
}

/* The outputs of channels first to first + 3, as far as there are so many. */
static inline void mve_finish(const mve_scaling *scaling, uint32_t first, int32x4_t sums, int8_t *output) {
  const mve_pred16_t which = vctp32q(scaling->channels - first);
  sums = vaddq_s32(sums, vldrwq_z_s32(scaling->bias + first, which));
  const int32x4_t multiplier = vldrwq_z_s32(scaling->multipliers + first, which);
  sums = mve_requantize(sums, multiplier, vldrbq_z_s32(scaling->shifts + first, which));
  sums = vaddq_n_s32(sums, scaling->zero);
  sums = vmaxq_s32(sums, vdupq_n_s32(scaling->lowest));
  vstrbq_p_s32(output + first, vminq_s32(sums, vdupq_n_s32(scaling->highest)), which);
}

#endif /* MLTK_MVE_H_ */
