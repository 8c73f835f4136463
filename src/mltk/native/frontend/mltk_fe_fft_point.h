/* The FFT's complex numbers and what is done with them, bit for bit the same in two forms: two int32; or, on processors
 * with DSP instructions, two int16 in one register (real part below), where one instruction adds or multiplies both. */
#ifndef MLTK_FE_FFT_POINT_H
#define MLTK_FE_FFT_POINT_H

#include "mltk_fe_stages.h"

#define HALF_Q15 (1 << 14)

/* What all multiplications of a stage share. */
typedef struct {
  int32_t factor; /* Q15: 32767 / radix */
  int32_t half;   /* to round to the nearest */
} fft_constants;

static inline fft_constants constants_of(int32_t radix) {
  fft_constants c;
  c.factor = 32767 / radix;
  c.half = HALF_Q15;
#if defined(__arm__) && defined(__GNUC__)
  /* Kept in registers: knowing their values, clang would shift and add, which takes longer than to multiply. */
  __asm__("" : "+r"(c.factor), "+r"(c.half));
#endif
  return c;
}

/* Two pointers that walk: clang would rather keep a counter and three more pointers than there are registers. */
#if defined(__arm__) && defined(__GNUC__)
#define KEEP_POINTERS(a, b) __asm__("" : "+r"(a), "+r"(b))
#else
#define KEEP_POINTERS(a, b)
#endif

#if defined(__ARM_FEATURE_SIMD32) && MLTK_FE_LANES == 1

#include <arm_acle.h>

typedef int16x2_t fft_point;

static inline fft_point load_point(const mltk_fe_complex *p, int lane) {
  fft_point z;
  (void)lane;
  __builtin_memcpy(&z, p, sizeof(z));
  return z;
}

static inline void store_point(mltk_fe_complex *p, int lane, fft_point z) {
  (void)lane;
  __builtin_memcpy(p, &z, sizeof(z));
}

/* Both halves of two products in Q15: bits 15 to 30 of each. */
static inline fft_point pack_q15(int32_t re, int32_t im) {
  return (fft_point)((((uint32_t)im << 1) & 0xFFFF0000u) | ((uint32_t)(re >> 15) & 0xFFFFu));
}

/* Samples `pair` and `pair` + 1, shifted up; what a shift moves out of the lower one must not reach the upper one. */
static inline fft_point read_samples(const int16_t *windowed, uint32_t pair, uint32_t shift, int lane) {
  const uint32_t kept = 0xFFFFu >> shift;
  uint32_t two;
  (void)lane;
  __builtin_memcpy(&two, windowed + pair, sizeof(two));
  return (fft_point)((two & (kept | kept << 16)) << shift);
}

static inline fft_point scale_point(fft_point z, fft_constants c) {
  return pack_q15(__smlabb((int32_t)z, c.factor, c.half), __smlatb((int32_t)z, c.factor, c.half));
}

static inline fft_point turn_point(fft_point z, const mltk_fe_twiddle *twiddle, fft_constants c) {
  int16x2_t w;
  __builtin_memcpy(&w, twiddle, sizeof(w));
  return pack_q15(__smlsd(z, w, c.half), __smladx(z, w, c.half));
}

static inline fft_point add_points(fft_point a, fft_point b) { return __sadd16(a, b); }
static inline fft_point subtract_points(fft_point a, fft_point b) { return __ssub16(a, b); }
/* a + j b and a - j b */
static inline fft_point add_turned(fft_point a, fft_point b) { return __sasx(a, b); }
static inline fft_point subtract_turned(fft_point a, fft_point b) { return __ssax(a, b); }

static inline fft_point conjugate(fft_point z) {
  return (fft_point)(((uint32_t)z & 0xFFFFu) | ((0u - ((uint32_t)z & 0xFFFF0000u)) & 0xFFFF0000u));
}

/* (a + b) / 2, and the conjugate of (a - b) / 2: both parts rounded down. */
static inline fft_point half_sum(fft_point a, fft_point b) { return __shadd16(a, b); }
static inline fft_point half_difference_conjugate(fft_point a, fft_point b) {
  return (fft_point)(((uint32_t)__shsub16(a, b) & 0xFFFFu) | ((uint32_t)__shsub16(b, a) & 0xFFFF0000u));
}

#else

typedef struct {
  int32_t re;
  int32_t im;
} fft_point;

static inline fft_point point(int32_t re, int32_t im) {
  fft_point z;
  z.re = re;
  z.im = im;
  return z;
}

static inline fft_point load_point(const mltk_fe_complex *p, int lane) { return point(p->re[lane], p->im[lane]); }

static inline void store_point(mltk_fe_complex *p, int lane, fft_point z) {
  p->re[lane] = (int16_t)z.re;
  p->im[lane] = (int16_t)z.im;
}

/* Shifted as unsigned: the sign bit may be shifted out only where the window's -32768 hid its magnitude. */
static inline int32_t read_sample(const int16_t *windowed, uint32_t index, uint32_t shift, int lane) {
  return (int16_t)(uint16_t)((uint32_t)(uint16_t)windowed[index * MLTK_FE_LANES + (uint32_t)lane] << shift);
}

static inline fft_point read_samples(const int16_t *windowed, uint32_t pair, uint32_t shift, int lane) {
  return point(read_sample(windowed, pair, shift, lane), read_sample(windowed, pair + 1, shift, lane));
}

static inline fft_point scale_point(fft_point z, fft_constants c) {
  return point((z.re * c.factor + c.half) >> 15, (z.im * c.factor + c.half) >> 15);
}

static inline fft_point turn_point(fft_point z, const mltk_fe_twiddle *w, fft_constants c) {
  return point((c.half + z.re * w->re - z.im * w->im) >> 15, (c.half + z.re * w->im + z.im * w->re) >> 15);
}

static inline fft_point add_points(fft_point a, fft_point b) { return point(a.re + b.re, a.im + b.im); }
static inline fft_point subtract_points(fft_point a, fft_point b) { return point(a.re - b.re, a.im - b.im); }
/* a + j b and a - j b */
static inline fft_point add_turned(fft_point a, fft_point b) { return point(a.re - b.im, a.im + b.re); }
static inline fft_point subtract_turned(fft_point a, fft_point b) { return point(a.re + b.im, a.im - b.re); }

static inline fft_point conjugate(fft_point z) { return point(z.re, (int16_t)-z.im); }

/* (a + b) / 2, and the conjugate of (a - b) / 2: both parts rounded down. `b` may need its wrap to 16 bits. */
static inline fft_point half_sum(fft_point a, fft_point b) {
  return point((a.re + (int16_t)b.re) >> 1, (a.im + (int16_t)b.im) >> 1);
}
static inline fft_point half_difference_conjugate(fft_point a, fft_point b) {
  return point((a.re - (int16_t)b.re) >> 1, ((int16_t)b.im - a.im) >> 1);
}

#endif

#endif
