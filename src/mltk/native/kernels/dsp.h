/* The DSP instructions of Armv7E-M and Armv8-M main line, under the names of what they are used for here. */
#ifndef MLTK_DSP_H_
#define MLTK_DSP_H_

#include <arm_acle.h>
#include <stdint.h>

#if !defined(__ARM_FEATURE_SIMD32)
#error "this model was compiled by mltk for a processor with DSP instructions: compile it for another --target"
#endif

/* To int8. GCC 12's __ssat warns of itself: its builtin is unsigned. */
#if defined(__clang__)
#define DSP_CLAMP_8(value) __ssat(value, 8)
#else
#define DSP_CLAMP_8(value) ((int32_t)__builtin_arm_ssat(value, 8))
#endif

/* Of four int8: 0 and 2 as two int16. */
static inline uint32_t dsp_even(uint32_t four) { return (uint32_t)__sxtb16((int8x4_t)four); }

/* Of four int8: 1 and 3 as two int16; the rotation is part of the instruction. GCC 12 has no __ror. */
static inline uint32_t dsp_odd(uint32_t four) { return (uint32_t)__sxtb16((int8x4_t)(four >> 8 | four << 24)); }

/* sum + the two products of two pairs of int16. */
static inline int32_t dsp_mac(uint32_t a, uint32_t b, int32_t sum) { return __smlad((int16x2_t)a, (int16x2_t)b, sum); }

#endif /* MLTK_DSP_H_ */
