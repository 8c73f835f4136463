/* What the forms for Armv7-M and up share: loads from any address, and the way from a channel's sums to its int8
 * outputs in few instructions (a long multiplication and SSAT). Results are those of mltk_requantize and a clamp.
 *
 * A form that includes this wants the shifts as forms.py packs them: 1 to 22 where every step below stays within 32
 * bits
 * (|sum| < 2^30), which is a shift to the right; else FINISH_SLOW + the shift to the left, a negative number. */
#ifndef MLTK_THUMB2_H_
#define MLTK_THUMB2_H_

#if !defined(__ARM_FEATURE_SAT)
#error "this model was compiled by mltk for Cortex-M3 and up: compile it for another --target"
#endif

#include "fixed_point.h"
#include "loops.h"
#include "mltk_nn.h"

enum { FINISH_SLOW = -64 };

/* Four int8 from any address: one LDR, as these processors load from any. A builtin, because a bare chip has no
 * string.h. */
static inline uint32_t load_four(const int8_t *values) {
  uint32_t four;
  __builtin_memcpy(&four, values, sizeof four);
  return four;
}

/* How one channel is scaled. */
typedef struct {
  int32_t multiplier, right;
} finish_channel;

static inline finish_channel finish_channel_of(const int32_t *multipliers, const int8_t *shifts, uint32_t channel) {
  const finish_channel scale = {multipliers[channel], shifts[channel]};
  return scale;
}

static inline int finish_is_fast(finish_channel scale) { return scale.right > 0; }

/* Half of what a fast channel shifts out, and the zero point shifted to the left by as much. */
static inline int32_t finish_offset(finish_channel scale, int32_t zero) {
  return mltk_shift_left(2 * zero + 1, scale.right) >> 1;
}

static inline int8_t finish_fast(finish_channel scale, int32_t offset, int32_t sum) {
  /* (sum * multiplier + 2^30) >> 31 as the upper word of a product, rounded: one instruction where there is SMMULR. */
  const int64_t product = (int64_t)mltk_shift_left(sum, 1) * scale.multiplier;
  int32_t value = (int32_t)((product + (INT64_C(1) << 31)) >> 32);
  value += value >> 31; /* a half is rounded away from zero */
  /* SSAT: compilers know it by this. */
  return mltk_clamp_s8((value + offset) >> scale.right, INT8_MIN, INT8_MAX);
}

static __attribute__((noinline)) int8_t finish_slow(int32_t multiplier, int32_t shift, int32_t sum, int32_t zero) {
  return mltk_clamp_s8(mltk_requantize(sum, multiplier, shift - FINISH_SLOW) + zero, INT8_MIN, INT8_MAX);
}

/* One channel at two positions. */
static inline void finish_two(finish_channel scale, int32_t zero, int32_t sum_0, int32_t sum_1, int8_t *output_0,
                              int8_t *output_1) {
  if (finish_is_fast(scale)) {
    const int32_t offset = finish_offset(scale, zero);
    *output_0 = finish_fast(scale, offset, sum_0);
    *output_1 = finish_fast(scale, offset, sum_1);
  } else {
    *output_0 = finish_slow(scale.multiplier, scale.right, sum_0, zero);
    *output_1 = finish_slow(scale.multiplier, scale.right, sum_1, zero);
  }
}

static inline int8_t finish_one(finish_channel scale, int32_t zero, int32_t sum) {
  if (finish_is_fast(scale)) return finish_fast(scale, finish_offset(scale, zero), sum);
  return finish_slow(scale.multiplier, scale.right, sum, zero);
}

/* The fused activation, over all outputs at once: most leave the whole range of int8 and need nothing. */
static inline void finish_activation(int8_t *output, size_t count, int32_t lowest, int32_t highest) {
  if (lowest == INT8_MIN && highest == INT8_MAX) return;
  NO_UNROLL
  for (; count > 0; --count, ++output) *output = mltk_clamp_s8(*output, lowest, highest);
}

#endif /* MLTK_THUMB2_H_ */
