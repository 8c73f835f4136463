/* 16 lanes of 32 bits: AVX-512 with BW, DQ, CD and VL (Intel since Skylake-X, AMD since Zen 4). */
#ifndef MLTK_FE_VECTOR_AVX512_H
#define MLTK_FE_VECTOR_AVX512_H

#include <immintrin.h>

#include "mltk_fe_stages.h"

#define LANES 16

typedef __m512i vec;

static inline vec load(const void *p) { return _mm512_load_si512(p); }
static inline vec load_any(const void *p) { return _mm512_loadu_si512(p); }
static inline void store(void *p, vec a) { _mm512_store_si512(p, a); }
static inline vec zero(void) { return _mm512_setzero_si512(); }
static inline vec all_16(int x) { return _mm512_set1_epi16((short)x); }
static inline vec all_32(uint32_t x) { return _mm512_set1_epi32((int)x); }

static inline vec and_(vec a, vec b) { return _mm512_and_si512(a, b); }
static inline vec or_(vec a, vec b) { return _mm512_or_si512(a, b); }
static inline vec xor_(vec a, vec b) { return _mm512_xor_si512(a, b); }
static inline vec or_not(vec a, vec b) { return _mm512_ternarylogic_epi64(a, b, b, 0xF3); } /* a | ~b */
static inline vec xor_not(vec a, vec b) { return _mm512_ternarylogic_epi64(a, b, b, 0xC3); }

static inline vec add_16(vec a, vec b) { return _mm512_add_epi16(a, b); }
static inline vec sub_16(vec a, vec b) { return _mm512_sub_epi16(a, b); }
static inline vec abs_16(vec a) { return _mm512_abs_epi16(a); }
static inline vec mul_low_16(vec a, vec b) { return _mm512_mullo_epi16(a, b); }
static inline vec mul_high_16(vec a, vec b) { return _mm512_mulhi_epi16(a, b); }
/* (a * b + 2^14) >> 15 */
static inline vec mul_q15(vec a, vec b) { return _mm512_mulhrs_epi16(a, b); }
/* low half * low half + high half * high half */
static inline vec mul_pairs(vec a, vec b) { return _mm512_madd_epi16(a, b); }
/* The counts of all lanes are one: as a vector it takes one operation, as a number two. */
static inline vec up_16(vec a, uint32_t n) { return _mm512_sllv_epi16(a, _mm512_set1_epi16((short)n)); }
#define shl_16(a, n) _mm512_slli_epi16(a, n)
#define shr_16(a, n) _mm512_srli_epi16(a, n)
#define sar_16(a, n) _mm512_srai_epi16(a, n)

static inline vec add_32(vec a, vec b) { return _mm512_add_epi32(a, b); }
static inline vec sub_32(vec a, vec b) { return _mm512_sub_epi32(a, b); }
static inline vec mul_32(vec a, vec b) { return _mm512_mullo_epi32(a, b); }
static inline vec min_32(vec a, vec b) { return _mm512_min_epu32(a, b); }
static inline vec max_32(vec a, vec b) { return _mm512_max_epu32(a, b); }
#define shl_32(a, n) _mm512_slli_epi32(a, n)
#define shr_32(a, n) _mm512_srli_epi32(a, n)
#define sar_32(a, n) _mm512_srai_epi32(a, n)
/* By a count for each lane; counts of 32 and more give 0. */
static inline vec shl_each(vec a, vec n) { return _mm512_sllv_epi32(a, n); }
static inline vec shr_each(vec a, vec n) { return _mm512_srlv_epi32(a, n); }
/* a < b ? x : y, unsigned */
static inline vec select_below(vec a, vec b, vec x, vec y) {
  return _mm512_mask_blend_epi32(_mm512_cmplt_epu32_mask(a, b), y, x);
}
static inline vec bit_length(vec a) { return _mm512_sub_epi32(_mm512_set1_epi32(32), _mm512_lzcnt_epi32(a)); }

/* Of each 64 bits the lower halves' product. */
static inline vec mul_even(vec a, vec b) { return _mm512_mul_epu32(a, b); }
static inline vec add_64(vec a, vec b) { return _mm512_add_epi64(a, b); }
#define shl_64(a, n) _mm512_slli_epi64(a, n)
#define shr_64(a, n) _mm512_srli_epi64(a, n)
static inline vec shr_64_by(vec a, uint32_t n) { return _mm512_srlv_epi64(a, _mm512_set1_epi64(n)); }
static inline vec shl_32_by(vec a, uint32_t n) { return _mm512_sllv_epi32(a, _mm512_set1_epi32((int)n)); }
static inline vec shr_32_by(vec a, uint32_t n) { return _mm512_srlv_epi32(a, _mm512_set1_epi32((int)n)); }

/* Lower halves of a, upper halves of b: of each 32 bits, of each 64 bits. */
static inline vec merge_16(vec a, vec b) { return _mm512_mask_blend_epi16(0xAAAAAAAAu, a, b); }
static inline vec merge_32(vec a, vec b) { return _mm512_mask_blend_epi32(0xAAAAu, a, b); }
static inline vec swap_16(vec a) { return _mm512_rol_epi32(a, 16); }
static inline vec negate_low_16(vec a) { return _mm512_mask_sub_epi16(a, 0x55555555u, zero(), a); }
static inline vec negate_high_16(vec a) { return _mm512_mask_sub_epi16(a, 0xAAAAAAAAu, zero(), a); }

/* table[index], index < 128: faster from registers than gathered from memory. */
static inline vec look_up_128(const uint32_t table[128], vec index) {
  const __mmask16 odd = _mm512_test_epi32_mask(index, _mm512_set1_epi32(32));
  const __mmask16 upper = _mm512_test_epi32_mask(index, _mm512_set1_epi32(64));
  const vec a = _mm512_permutex2var_epi32(load(table), index, load(table + 16));
  const vec b = _mm512_permutex2var_epi32(load(table + 32), index, load(table + 48));
  const vec c = _mm512_permutex2var_epi32(load(table + 64), index, load(table + 80));
  const vec d = _mm512_permutex2var_epi32(load(table + 96), index, load(table + 112));
  return _mm512_mask_blend_epi32(upper, _mm512_mask_blend_epi32(odd, a, b), _mm512_mask_blend_epi32(odd, c, d));
}

/* int16 table[index], index < 64, in the lower halves. */
static inline vec look_up_16(const int16_t table[64], vec index) {
  return _mm512_permutex2var_epi16(load(table), index, load(table + 32));
}

static inline uint32_t or_of_all(vec a) { return (uint32_t)_mm512_reduce_or_epi32(a); }

/* floor(sqrt(x)) of 64-bit lanes, x < 2^58, or one more: the square root of x rounded to 53 bits is never below. */
static inline vec root_estimate(vec x) { return _mm512_cvttpd_epi64(_mm512_sqrt_pd(_mm512_cvtepu64_pd(x))); }
/* x < 0 as all ones */
static inline vec sign_64(vec x) { return _mm512_srai_epi64(x, 63); }
static inline vec sub_64(vec a, vec b) { return _mm512_sub_epi64(a, b); }

/* above[0], below[15], ... below[1] */
static inline vec mirror(vec below, vec above) {
  return _mm512_permutex2var_epi32(below, _mm512_setr_epi32(16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1),
                                   above);
}
static inline vec reverse(vec a) {
  return _mm512_permutexvar_epi32(_mm512_setr_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0), a);
}

/* 8 lanes of 64 bits as doubles. */
typedef __m512d doubles;

/* 16 numbers below 2^32. */
static inline void store_doubles(double *to, vec a) {
  _mm512_storeu_pd(to, _mm512_cvtepu32_pd(_mm512_castsi512_si256(a)));
  _mm512_storeu_pd(to + 8, _mm512_cvtepu32_pd(_mm512_extracti64x4_epi64(a, 1)));
}
static inline doubles multiply_doubles(const double *a, const double *b) {
  return _mm512_mul_pd(_mm512_loadu_pd(a), _mm512_load_pd(b));
}
static inline doubles add_product(doubles sum, const double *a, const double *b) {
  return _mm512_fmadd_pd(_mm512_loadu_pd(a), _mm512_load_pd(b), sum);
}
static inline doubles sum_pairs(doubles a, doubles b) {
  return _mm512_add_pd(_mm512_unpacklo_pd(a, b), _mm512_unpackhi_pd(a, b));
}
static inline doubles sum_blocks(doubles a, doubles b) {
  return _mm512_add_pd(_mm512_shuffle_f64x2(a, b, 0x88), _mm512_shuffle_f64x2(a, b, 0xDD));
}
/* The sum of each vector's lanes. */
static inline doubles sum_each(const doubles a[8]) {
  return sum_blocks(sum_blocks(sum_pairs(a[0], a[1]), sum_pairs(a[2], a[3])),
                    sum_blocks(sum_pairs(a[4], a[5]), sum_pairs(a[6], a[7])));
}
static inline doubles no_doubles(void) { return _mm512_setzero_pd(); }
static inline __m256i rounded_root_8(doubles x) {
  const doubles root = _mm512_sqrt_pd(x);
  const __mmask8 high = _mm512_cmp_pd_mask(root, _mm512_set1_pd(65535.0), _CMP_GT_OQ);
  const __mmask8 between = _mm512_mask_cmp_pd_mask(high, root, _mm512_set1_pd(65536.0), _CMP_LT_OQ);
  const doubles kept = _mm512_mask_mov_pd(root, between, _mm512_set1_pd(65535.0));
  return _mm512_cvt_roundpd_epi32(kept, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
/* Rounded square roots of numbers below 2^50. Numbers below 2^32 never round up to 65536. */
static inline vec rounded_roots(doubles low, doubles high) {
  return _mm512_inserti64x4(_mm512_castsi256_si512(rounded_root_8(low)), rounded_root_8(high), 1);
}

static inline void transpose(const uint32_t *from, size_t from_stride, uint32_t *to, size_t to_stride,
                             const uint32_t *up) {
  vec a[16], b[16];
  int i;
  for (i = 0; i < 16; ++i) {
    a[i] = load(from + (size_t)i * from_stride);
    if (up != NULL) {
      a[i] = up_16(a[i], up[i]);
    }
  }
  for (i = 0; i < 16; i += 2) {
    b[i] = _mm512_unpacklo_epi32(a[i], a[i + 1]);
    b[i + 1] = _mm512_unpackhi_epi32(a[i], a[i + 1]);
  }
  for (i = 0; i < 16; i += 4) {
    a[i] = _mm512_unpacklo_epi64(b[i], b[i + 2]);
    a[i + 1] = _mm512_unpackhi_epi64(b[i], b[i + 2]);
    a[i + 2] = _mm512_unpacklo_epi64(b[i + 1], b[i + 3]);
    a[i + 3] = _mm512_unpackhi_epi64(b[i + 1], b[i + 3]);
  }
  for (i = 0; i < 4; ++i) {
    b[i] = _mm512_shuffle_i32x4(a[i], a[i + 4], 0x88);
    b[i + 4] = _mm512_shuffle_i32x4(a[i], a[i + 4], 0xDD);
    b[i + 8] = _mm512_shuffle_i32x4(a[i + 8], a[i + 12], 0x88);
    b[i + 12] = _mm512_shuffle_i32x4(a[i + 8], a[i + 12], 0xDD);
  }
  for (i = 0; i < 8; ++i) {
    store(to + (size_t)i * to_stride, _mm512_shuffle_i32x4(b[i], b[i + 8], 0x88));
    store(to + (size_t)(i + 8) * to_stride, _mm512_shuffle_i32x4(b[i], b[i + 8], 0xDD));
  }
}

/* The lanes, each below 2^16, as `n` (1 to 16) 16-bit numbers. */
static inline void store_16(uint16_t *to, vec a, uint32_t n) {
  _mm512_mask_cvtepi32_storeu_epi16(to, (__mmask16)(0xFFFFu >> (16u - n)), a);
}

#endif
