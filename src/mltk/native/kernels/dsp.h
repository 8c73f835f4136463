/* The DSP instructions of Armv7E-M and Armv8-M main line, under the names of what they are used for here. */
#ifndef MLTK_DSP_H_
#define MLTK_DSP_H_

#include <arm_acle.h>
#include <stdint.h>

#if !defined(__ARM_FEATURE_SIMD32)
#error "this model was compiled by mltk for a processor with DSP instructions: compile it for another --target"
#endif

/* For short loops that run often: unrolling costs more than it saves. */
#if defined(__clang__)
#define DSP_NO_UNROLL _Pragma("clang loop unroll(disable)")
#else
#define DSP_NO_UNROLL
#endif

/* To int8. GCC 12's __ssat warns of itself: its builtin is unsigned. */
#if defined(__clang__)
#define DSP_CLAMP_8(value) __ssat(value, 8)
#else
#define DSP_CLAMP_8(value) ((int32_t)__builtin_arm_ssat(value, 8))
#endif

/* Four int8 from any address. */
static inline uint32_t dsp_load(const void *address) {
  uint32_t word;
  /* One LDR: these processors load from any address. A builtin, because a bare chip has no string.h. */
  __builtin_memcpy(&word, address, sizeof word);
  return word;
}

/* Of four int8: 0 and 2 as two int16. */
static inline uint32_t dsp_even(uint32_t four) { return (uint32_t)__sxtb16((int8x4_t)four); }

/* Of four int8: 1 and 3 as two int16; the rotation is part of the instruction. GCC 12 has no __ror. */
static inline uint32_t dsp_odd(uint32_t four) { return (uint32_t)__sxtb16((int8x4_t)(four >> 8 | four << 24)); }

/* sum + the two products of two pairs of int16. */
static inline int32_t dsp_mac(uint32_t a, uint32_t b, int32_t sum) { return __smlad((int16x2_t)a, (int16x2_t)b, sum); }

typedef struct {
  int32_t zero, lowest, highest; /* of the output and its fused activation */
} dsp_range;

/* mltk_requantize and the fused activation in few instructions: |sum| < 2^30, which the compiler has made sure of. */
static inline int8_t dsp_finish(int32_t sum, int32_t multiplier, int32_t shift, dsp_range range) {
  int32_t right = -shift;
  if (shift >= 0) {
    sum = (int32_t)((uint32_t)sum << shift);
    right = 0;
  }
  int32_t value = (int32_t)(((int64_t)sum * multiplier + (INT64_C(1) << 30)) >> 31);
  /* A half is rounded away from zero; without a shift there is none. */
  if (right > 0) value = (value + ((1 << right) >> 1) + (value >> 31)) >> right;
  value = DSP_CLAMP_8(value + range.zero);
  value = value < range.lowest ? range.lowest : value;
  return (int8_t)(value > range.highest ? range.highest : value);
}

#endif /* MLTK_DSP_H_ */
