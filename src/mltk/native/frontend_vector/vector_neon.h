/* 4 lanes of 32 bits: NEON of 64-bit ARM processors. */
#ifndef MLTK_FE_VECTOR_NEON_H
#define MLTK_FE_VECTOR_NEON_H

#include <arm_neon.h>

#include "mltk_fe_stages.h"

#define LANES 4

typedef uint32x4_t vec;

/* The same bits as other lanes. */
static inline int16x8_t as_s16(vec a) { return vreinterpretq_s16_u32(a); }
static inline uint16x8_t as_u16(vec a) { return vreinterpretq_u16_u32(a); }
static inline int32x4_t as_s32(vec a) { return vreinterpretq_s32_u32(a); }
static inline uint64x2_t as_u64(vec a) { return vreinterpretq_u64_u32(a); }
static inline int64x2_t as_s64(vec a) { return vreinterpretq_s64_u32(a); }
static inline vec of_s16(int16x8_t a) { return vreinterpretq_u32_s16(a); }
static inline vec of_u16(uint16x8_t a) { return vreinterpretq_u32_u16(a); }
static inline vec of_s32(int32x4_t a) { return vreinterpretq_u32_s32(a); }
static inline vec of_u64(uint64x2_t a) { return vreinterpretq_u32_u64(a); }
static inline vec of_s64(int64x2_t a) { return vreinterpretq_u32_s64(a); }

/* Bytes: samples need not lie where a 32-bit number may. */
static inline vec load(const void *p) { return vreinterpretq_u32_u8(vld1q_u8(p)); }
static inline vec load_any(const void *p) { return load(p); }
static inline void store(void *p, vec a) { vst1q_u8(p, vreinterpretq_u8_u32(a)); }
static inline vec zero(void) { return vdupq_n_u32(0); }
static inline vec all_16(int x) { return of_s16(vdupq_n_s16((int16_t)x)); }
static inline vec all_32(uint32_t x) { return vdupq_n_u32(x); }

static inline vec and_(vec a, vec b) { return vandq_u32(a, b); }
static inline vec or_(vec a, vec b) { return vorrq_u32(a, b); }
static inline vec xor_(vec a, vec b) { return veorq_u32(a, b); }
static inline vec or_not(vec a, vec b) { return vornq_u32(a, b); }
static inline vec xor_not(vec a, vec b) { return veorq_u32(a, vmvnq_u32(b)); }

static inline vec add_16(vec a, vec b) { return of_s16(vaddq_s16(as_s16(a), as_s16(b))); }
static inline vec sub_16(vec a, vec b) { return of_s16(vsubq_s16(as_s16(a), as_s16(b))); }
static inline vec abs_16(vec a) { return of_s16(vabsq_s16(as_s16(a))); }
static inline vec mul_low_16(vec a, vec b) { return of_s16(vmulq_s16(as_s16(a), as_s16(b))); }
static inline vec mul_high_16(vec a, vec b) {
  const int32x4_t low = vmull_s16(vget_low_s16(as_s16(a)), vget_low_s16(as_s16(b)));
  const int32x4_t high = vmull_high_s16(as_s16(a), as_s16(b));
  return of_s16(vuzp2q_s16(vreinterpretq_s16_s32(low), vreinterpretq_s16_s32(high)));
}
/* (a * b + 2^14) >> 15, one of them not -32768 */
static inline vec mul_q15(vec a, vec b) { return of_s16(vqrdmulhq_s16(as_s16(a), as_s16(b))); }
/* low half * low half + high half * high half */
static inline vec mul_pairs(vec a, vec b) {
  return of_s32(
      vpaddq_s32(vmull_s16(vget_low_s16(as_s16(a)), vget_low_s16(as_s16(b))), vmull_high_s16(as_s16(a), as_s16(b))));
}
static inline vec up_16(vec a, uint32_t n) { return of_s16(vshlq_s16(as_s16(a), vdupq_n_s16((int16_t)n))); }
#define shl_16(a, n) of_u16(vshlq_n_u16(as_u16(a), n))
#define shr_16(a, n) of_u16(vshrq_n_u16(as_u16(a), n))
#define sar_16(a, n) of_s16(vshrq_n_s16(as_s16(a), n))

static inline vec add_32(vec a, vec b) { return vaddq_u32(a, b); }
static inline vec sub_32(vec a, vec b) { return vsubq_u32(a, b); }
static inline vec mul_32(vec a, vec b) { return vmulq_u32(a, b); }
static inline vec min_32(vec a, vec b) { return vminq_u32(a, b); }
static inline vec max_32(vec a, vec b) { return vmaxq_u32(a, b); }
#define shl_32(a, n) vshlq_n_u32(a, n)
#define shr_32(a, n) vshrq_n_u32(a, n)
#define sar_32(a, n) of_s32(vshrq_n_s32(as_s32(a), n))
/* By a count for each lane; counts of 32 and more give 0. */
static inline vec shl_each(vec a, vec n) { return vshlq_u32(a, as_s32(vminq_u32(n, vdupq_n_u32(32)))); }
static inline vec shr_each(vec a, vec n) { return vshlq_u32(a, vnegq_s32(as_s32(vminq_u32(n, vdupq_n_u32(32))))); }
/* a < b ? x : y, unsigned */
static inline vec select_below(vec a, vec b, vec x, vec y) { return vbslq_u32(vcltq_u32(a, b), x, y); }
static inline vec bit_length(vec a) { return vsubq_u32(vdupq_n_u32(32), vclzq_u32(a)); }

/* Of each 64 bits the lower halves' product. */
static inline vec mul_even(vec a, vec b) { return of_u64(vmull_u32(vmovn_u64(as_u64(a)), vmovn_u64(as_u64(b)))); }
static inline vec add_64(vec a, vec b) { return of_u64(vaddq_u64(as_u64(a), as_u64(b))); }
static inline vec sub_64(vec a, vec b) { return of_u64(vsubq_u64(as_u64(a), as_u64(b))); }
#define shl_64(a, n) of_u64(vshlq_n_u64(as_u64(a), n))
#define shr_64(a, n) of_u64(vshrq_n_u64(as_u64(a), n))
static inline vec shr_64_by(vec a, uint32_t n) { return of_u64(vshlq_u64(as_u64(a), vdupq_n_s64(-(int64_t)n))); }
static inline vec shl_32_by(vec a, uint32_t n) { return vshlq_u32(a, vdupq_n_s32((int32_t)n)); }
static inline vec shr_32_by(vec a, uint32_t n) { return vshlq_u32(a, vdupq_n_s32(-(int32_t)n)); }
/* x < 0 as all ones */
static inline vec sign_64(vec x) { return of_s64(vshrq_n_s64(as_s64(x), 63)); }

/* Lower halves of a, upper halves of b: of each 32 bits, of each 64 bits. */
static inline vec merge_16(vec a, vec b) { return vbslq_u32(vdupq_n_u32(0xFFFFu), a, b); }
static inline vec merge_32(vec a, vec b) { return vbslq_u32(of_u64(vdupq_n_u64(0xFFFFFFFFu)), a, b); }
static inline vec swap_16(vec a) { return of_s16(vrev32q_s16(as_s16(a))); }
static inline vec negate_16(vec a) { return of_s16(vnegq_s16(as_s16(a))); }
static inline vec negate_low_16(vec a) { return merge_16(negate_16(a), a); }
static inline vec negate_high_16(vec a) { return merge_16(a, negate_16(a)); }

/* table[index], index < 128 */
static inline vec look_up_128(const uint32_t table[128], vec index) {
  vec found = vdupq_n_u32(table[vgetq_lane_u32(index, 0)]);
  found = vsetq_lane_u32(table[vgetq_lane_u32(index, 1)], found, 1);
  found = vsetq_lane_u32(table[vgetq_lane_u32(index, 2)], found, 2);
  return vsetq_lane_u32(table[vgetq_lane_u32(index, 3)], found, 3);
}

/* int16 table[index], index < 64, in the lower halves. */
static inline vec look_up_16(const int16_t table[64], vec index) {
  vec found = vdupq_n_u32((uint16_t)table[vgetq_lane_u32(index, 0)]);
  found = vsetq_lane_u32((uint16_t)table[vgetq_lane_u32(index, 1)], found, 1);
  found = vsetq_lane_u32((uint16_t)table[vgetq_lane_u32(index, 2)], found, 2);
  return vsetq_lane_u32((uint16_t)table[vgetq_lane_u32(index, 3)], found, 3);
}

static inline uint32_t or_of_all(vec a) {
  const uint32x2_t two = vorr_u32(vget_low_u32(a), vget_high_u32(a));
  return vget_lane_u32(two, 0) | vget_lane_u32(two, 1);
}

/* floor(sqrt(x)) of 64-bit lanes, x < 2^58, or one more: the square root of x rounded to 53 bits is never below. */
static inline vec root_estimate(vec x) { return of_u64(vcvtq_u64_f64(vsqrtq_f64(vcvtq_f64_u64(as_u64(x))))); }

/* above[0], below[3], below[2], below[1] */
static inline vec reverse(vec a) {
  const vec swapped = vrev64q_u32(a);
  return vextq_u32(swapped, swapped, 2);
}
static inline vec mirror(vec below, vec above) { return reverse(vextq_u32(below, above, 1)); }

/* 2 lanes of 64 bits as doubles. */
typedef float64x2_t doubles;

static inline void store_doubles(double *to, vec a) {
  vst1q_f64(to, vcvtq_f64_u64(vmovl_u32(vget_low_u32(a))));
  vst1q_f64(to + 2, vcvtq_f64_u64(vmovl_high_u32(a)));
}
static inline doubles multiply_doubles(const double *a, const double *b) {
  return vmulq_f64(vld1q_f64(a), vld1q_f64(b));
}
static inline doubles add_product(doubles sum, const double *a, const double *b) {
  return vfmaq_f64(sum, vld1q_f64(a), vld1q_f64(b));
}
/* The sum of each vector's lanes. */
static inline doubles sum_each(const doubles a[2]) { return vpaddq_f64(a[0], a[1]); }
static inline doubles no_doubles(void) { return vdupq_n_f64(0.0); }
static inline uint32x2_t rounded_root_2(doubles x) {
  const doubles root = vsqrtq_f64(x), limit = vdupq_n_f64(65535.0);
  const uint64x2_t between = vandq_u64(vcgtq_f64(root, limit), vcltq_f64(root, vdupq_n_f64(65536.0)));
  return vmovn_u64(vcvtnq_u64_f64(vbslq_f64(between, limit, root)));
}
/* Rounded square roots of numbers below 2^50. Numbers below 2^32 never round up to 65536. */
static inline vec rounded_roots(doubles low, doubles high) {
  return vcombine_u32(rounded_root_2(low), rounded_root_2(high));
}

static inline void transpose(const uint32_t *from, size_t from_stride, uint32_t *to, size_t to_stride,
                             const uint32_t *up) {
  vec a[4], b[4];
  int i;
  for (i = 0; i < 4; ++i) {
    a[i] = load(from + (size_t)i * from_stride);
    if (up != NULL) {
      a[i] = up_16(a[i], up[i]);
    }
  }
  for (i = 0; i < 4; i += 2) {
    b[i] = vtrn1q_u32(a[i], a[i + 1]);
    b[i + 1] = vtrn2q_u32(a[i], a[i + 1]);
  }
  for (i = 0; i < 2; ++i) {
    store(to + (size_t)i * to_stride, of_u64(vtrn1q_u64(as_u64(b[i]), as_u64(b[i + 2]))));
    store(to + (size_t)(i + 2) * to_stride, of_u64(vtrn2q_u64(as_u64(b[i]), as_u64(b[i + 2]))));
  }
}

/* The lanes, each below 2^16, as `n` (1 to 4) 16-bit numbers. */
static inline void store_16(uint16_t *to, vec a, uint32_t n) {
  const uint16x4_t packed = vmovn_u32(a);
  if (n == LANES) {
    vst1_u16(to, packed);
  } else {
    uint16_t all[LANES];
    uint32_t i;
    vst1_u16(all, packed);
    for (i = 0; i < n; ++i) {
      to[i] = all[i];
    }
  }
}

#endif
