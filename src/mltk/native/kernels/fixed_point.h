/* Fixed-point arithmetic that the kernels share: the roundings of gemmlowp, which TensorFlow Lite's kernels are made of
 * (https://github.com/google/gemmlowp/blob/master/fixedpoint/fixedpoint.h). */
#ifndef MLTK_FIXED_POINT_H_
#define MLTK_FIXED_POINT_H_

#include <stdint.h>

/* Shifts go through unsigned numbers: a negative number shifted left has no meaning in C. */
static inline int32_t mltk_shift_left(int32_t x, int32_t bits) { return (int32_t)((uint32_t)x << bits); }

/* x * y / 2^31, a half rounded up. Not for x == y == INT32_MIN. */
static inline int32_t mltk_multiply_high(int32_t x, int32_t y) {
  return (int32_t)(((int64_t)x * y + (INT64_C(1) << 30)) >> 31);
}

/* x / 2^bits, a half rounded away from zero; bits 0 to 31. */
static inline int32_t mltk_divide_by_power(int32_t x, int32_t bits) {
  const int32_t mask = (int32_t)((UINT32_C(1) << bits) - 1u);
  const int32_t threshold = (mask >> 1) + (x < 0 ? 1 : 0);
  return (x >> bits) + ((x & mask) > threshold ? 1 : 0);
}

/* x * multiplier * 2^(shift - 31). */
static inline int32_t mltk_requantize(int32_t x, int32_t multiplier, int32_t shift) {
  const int32_t left = shift > 0 ? shift : 0;
  return mltk_divide_by_power(mltk_multiply_high(mltk_shift_left(x, left), multiplier), left - shift);
}

static inline int8_t mltk_clamp_s8(int32_t x, int32_t lowest, int32_t highest) {
  return (int8_t)(x < lowest ? lowest : x > highest ? highest : x);
}

#endif /* MLTK_FIXED_POINT_H_ */
