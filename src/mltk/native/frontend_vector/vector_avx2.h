/* 8 lanes of 32 bits: AVX2 (Intel since Haswell, AMD since Excavator). */
#ifndef MLTK_FE_VECTOR_AVX2_H
#define MLTK_FE_VECTOR_AVX2_H

#include <immintrin.h>

#include "mltk_fe_stages.h"

#define LANES 8

typedef __m256i vec;

static inline vec load(const void *p) { return _mm256_load_si256(p); }
static inline vec load_any(const void *p) { return _mm256_loadu_si256(p); }
static inline void store(void *p, vec a) { _mm256_store_si256(p, a); }
static inline vec zero(void) { return _mm256_setzero_si256(); }
static inline vec all_16(int x) { return _mm256_set1_epi16((short)x); }
static inline vec all_32(uint32_t x) { return _mm256_set1_epi32((int)x); }

static inline vec and_(vec a, vec b) { return _mm256_and_si256(a, b); }
static inline vec or_(vec a, vec b) { return _mm256_or_si256(a, b); }
static inline vec xor_(vec a, vec b) { return _mm256_xor_si256(a, b); }
static inline vec or_not(vec a, vec b) { return or_(a, xor_(b, _mm256_set1_epi32(-1))); }
static inline vec xor_not(vec a, vec b) { return xor_(a, xor_(b, _mm256_set1_epi32(-1))); }

static inline vec add_16(vec a, vec b) { return _mm256_add_epi16(a, b); }
static inline vec sub_16(vec a, vec b) { return _mm256_sub_epi16(a, b); }
static inline vec abs_16(vec a) { return _mm256_abs_epi16(a); }
static inline vec mul_low_16(vec a, vec b) { return _mm256_mullo_epi16(a, b); }
static inline vec mul_high_16(vec a, vec b) { return _mm256_mulhi_epi16(a, b); }
/* (a * b + 2^14) >> 15 */
static inline vec mul_q15(vec a, vec b) { return _mm256_mulhrs_epi16(a, b); }
/* low half * low half + high half * high half */
static inline vec mul_pairs(vec a, vec b) { return _mm256_madd_epi16(a, b); }
static inline vec up_16(vec a, uint32_t n) { return mul_low_16(a, _mm256_set1_epi16((short)(1u << n))); }
#define shl_16(a, n) _mm256_slli_epi16(a, n)
#define shr_16(a, n) _mm256_srli_epi16(a, n)
#define sar_16(a, n) _mm256_srai_epi16(a, n)

static inline vec add_32(vec a, vec b) { return _mm256_add_epi32(a, b); }
static inline vec sub_32(vec a, vec b) { return _mm256_sub_epi32(a, b); }
static inline vec mul_32(vec a, vec b) { return _mm256_mullo_epi32(a, b); }
static inline vec min_32(vec a, vec b) { return _mm256_min_epu32(a, b); }
static inline vec max_32(vec a, vec b) { return _mm256_max_epu32(a, b); }
#define shl_32(a, n) _mm256_slli_epi32(a, n)
#define shr_32(a, n) _mm256_srli_epi32(a, n)
#define sar_32(a, n) _mm256_srai_epi32(a, n)
/* By a count for each lane; counts of 32 and more give 0. */
static inline vec shl_each(vec a, vec n) { return _mm256_sllv_epi32(a, n); }
static inline vec shr_each(vec a, vec n) { return _mm256_srlv_epi32(a, n); }
/* a < b ? x : y, unsigned */
static inline vec select_below(vec a, vec b, vec x, vec y) {
  return _mm256_blendv_epi8(x, y, _mm256_cmpeq_epi32(max_32(a, b), a));
}
/* From a float's exponent; without the bit below the highest one it can not be rounded up to the next power of two. */
static inline vec bit_length(vec a) {
  const vec kept = _mm256_andnot_si256(_mm256_srli_epi32(a, 1), a);
  const __m256 number = _mm256_cvtepi32_ps(kept);
  const vec length = _mm256_sub_epi32(_mm256_srli_epi32(_mm256_castps_si256(number), 23), _mm256_set1_epi32(126));
  const vec at_least_0 = _mm256_max_epi32(length, _mm256_setzero_si256());
  return _mm256_castps_si256(_mm256_blendv_ps(_mm256_castsi256_ps(at_least_0),
                                              _mm256_castsi256_ps(_mm256_set1_epi32(32)), _mm256_castsi256_ps(a)));
}

/* Of each 64 bits the lower halves' product. */
static inline vec mul_even(vec a, vec b) { return _mm256_mul_epu32(a, b); }
static inline vec add_64(vec a, vec b) { return _mm256_add_epi64(a, b); }
#define shl_64(a, n) _mm256_slli_epi64(a, n)
#define shr_64(a, n) _mm256_srli_epi64(a, n)
/* The counts of all lanes are one: as a vector it takes one operation, as a number two. */
static inline vec shr_64_by(vec a, uint32_t n) { return _mm256_srlv_epi64(a, _mm256_set1_epi64x(n)); }
static inline vec shl_32_by(vec a, uint32_t n) { return _mm256_sllv_epi32(a, _mm256_set1_epi32((int)n)); }
static inline vec shr_32_by(vec a, uint32_t n) { return _mm256_srlv_epi32(a, _mm256_set1_epi32((int)n)); }

/* Lower halves of a, upper halves of b: of each 32 bits, of each 64 bits. */
static inline vec merge_16(vec a, vec b) { return _mm256_blend_epi16(a, b, 0xAA); }
static inline vec merge_32(vec a, vec b) { return _mm256_blend_epi32(a, b, 0xAA); }
static inline vec swap_16(vec a) {
  return _mm256_shuffle_epi8(a, _mm256_setr_epi8(2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13, 2, 3, 0, 1, 6, 7,
                                                 4, 5, 10, 11, 8, 9, 14, 15, 12, 13));
}
static inline vec negate_low_16(vec a) { return _mm256_sign_epi16(a, _mm256_set1_epi32(0x0001FFFF)); }
static inline vec negate_high_16(vec a) { return _mm256_sign_epi16(a, _mm256_set1_epi32((int)0xFFFF0001u)); }

/* table[index], index < 128 */
static inline vec look_up_128(const uint32_t table[128], vec index) {
  return _mm256_i32gather_epi32((const int *)(const void *)table, index, 4);
}

/* int16 table[index], index < 63, in the lower halves. */
static inline vec look_up_16(const int16_t table[64], vec index) {
  return _mm256_i32gather_epi32((const int *)(const void *)table, index, 2);
}

static inline uint32_t or_of_all(vec a) {
  const __m128i two = _mm_or_si128(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
  const uint64_t both = (uint64_t)_mm_extract_epi64(two, 0) | (uint64_t)_mm_extract_epi64(two, 1);
  return (uint32_t)(both | both >> 32);
}

/* floor(sqrt(x)) of 64-bit lanes, x < 2^58, or one more: the square root of x rounded to 53 bits is never below. */
static inline vec root_estimate(vec x) {
  /* The halves become doubles by their place in the mantissas of 2^84 and 2^52; only the last sum is rounded. */
  const vec high = _mm256_or_si256(_mm256_srli_epi64(x, 32), _mm256_set1_epi64x(0x4530000000000000));
  const vec low = _mm256_blend_epi32(x, _mm256_set1_epi64x(0x4330000000000000), 0xAA);
  const __m256d upper =
      _mm256_sub_pd(_mm256_castsi256_pd(high), _mm256_castsi256_pd(_mm256_set1_epi64x(0x4530000000100000)));
  const __m256d root = _mm256_sqrt_pd(_mm256_add_pd(upper, _mm256_castsi256_pd(low)));
  return _mm256_cvtepi32_epi64(_mm256_cvttpd_epi32(root));
}
/* x < 0 as all ones */
static inline vec sign_64(vec x) { return _mm256_cmpgt_epi64(_mm256_setzero_si256(), x); }
static inline vec sub_64(vec a, vec b) { return _mm256_sub_epi64(a, b); }

/* above[0], below[7], ... below[1] */
static inline vec mirror(vec below, vec above) {
  return _mm256_permutevar8x32_epi32(_mm256_blend_epi32(below, above, 1), _mm256_setr_epi32(0, 7, 6, 5, 4, 3, 2, 1));
}
static inline vec reverse(vec a) { return _mm256_permutevar8x32_epi32(a, _mm256_setr_epi32(7, 6, 5, 4, 3, 2, 1, 0)); }

/* 4 lanes of 64 bits as doubles. */
typedef __m256d doubles;

/* 8 numbers below 2^32: as the lower half of a double's mantissa, 2^52 above. */
static inline void store_doubles(double *to, vec a) {
  const __m256i above = _mm256_set1_epi64x(0x4330000000000000);
  const __m256d low = _mm256_castsi256_pd(_mm256_or_si256(_mm256_cvtepu32_epi64(_mm256_castsi256_si128(a)), above));
  const __m256d high =
      _mm256_castsi256_pd(_mm256_or_si256(_mm256_cvtepu32_epi64(_mm256_extracti128_si256(a, 1)), above));
  _mm256_storeu_pd(to, _mm256_sub_pd(low, _mm256_castsi256_pd(above)));
  _mm256_storeu_pd(to + 4, _mm256_sub_pd(high, _mm256_castsi256_pd(above)));
}
static inline doubles multiply_doubles(const double *a, const double *b) {
  return _mm256_mul_pd(_mm256_loadu_pd(a), _mm256_load_pd(b));
}
static inline doubles add_product(doubles sum, const double *a, const double *b) {
  return _mm256_add_pd(sum, multiply_doubles(a, b));
}
/* The sum of each vector's lanes. */
static inline doubles sum_each(const doubles a[4]) {
  const doubles low = _mm256_hadd_pd(a[0], a[1]), high = _mm256_hadd_pd(a[2], a[3]);
  return _mm256_add_pd(_mm256_permute2f128_pd(low, high, 0x20), _mm256_permute2f128_pd(low, high, 0x31));
}
static inline doubles no_doubles(void) { return _mm256_setzero_pd(); }
static inline __m128i rounded_root_4(doubles x) {
  const doubles root = _mm256_sqrt_pd(x), limit = _mm256_set1_pd(65535.0);
  const doubles between =
      _mm256_and_pd(_mm256_cmp_pd(root, limit, _CMP_GT_OQ), _mm256_cmp_pd(root, _mm256_set1_pd(65536.0), _CMP_LT_OQ));
  return _mm256_cvtpd_epi32(
      _mm256_round_pd(_mm256_blendv_pd(root, limit, between), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
/* Rounded square roots of numbers below 2^50. Numbers below 2^32 never round up to 65536. */
static inline vec rounded_roots(doubles low, doubles high) {
  return _mm256_inserti128_si256(_mm256_castsi128_si256(rounded_root_4(low)), rounded_root_4(high), 1);
}

static inline void transpose(const uint32_t *from, size_t from_stride, uint32_t *to, size_t to_stride,
                             const uint32_t *up) {
  vec a[8], b[8];
  int i;
  for (i = 0; i < 8; ++i) {
    a[i] = load(from + (size_t)i * from_stride);
    if (up != NULL) {
      a[i] = up_16(a[i], up[i]);
    }
  }
  for (i = 0; i < 8; i += 2) {
    b[i] = _mm256_unpacklo_epi32(a[i], a[i + 1]);
    b[i + 1] = _mm256_unpackhi_epi32(a[i], a[i + 1]);
  }
  for (i = 0; i < 8; i += 4) {
    a[i] = _mm256_unpacklo_epi64(b[i], b[i + 2]);
    a[i + 1] = _mm256_unpackhi_epi64(b[i], b[i + 2]);
    a[i + 2] = _mm256_unpacklo_epi64(b[i + 1], b[i + 3]);
    a[i + 3] = _mm256_unpackhi_epi64(b[i + 1], b[i + 3]);
  }
  for (i = 0; i < 4; ++i) {
    store(to + (size_t)i * to_stride, _mm256_permute2x128_si256(a[i], a[i + 4], 0x20));
    store(to + (size_t)(i + 4) * to_stride, _mm256_permute2x128_si256(a[i], a[i + 4], 0x31));
  }
}

/* The lanes, each below 2^16, as `n` (1 to 8) 16-bit numbers. */
static inline void store_16(uint16_t *to, vec a, uint32_t n) {
  const __m128i packed = _mm_packus_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
  if (n == LANES) {
    _mm_storeu_si128((__m128i *)(void *)to, packed);
  } else {
    uint16_t all[LANES];
    uint32_t i;
    _mm_storeu_si128((__m128i *)(void *)all, packed);
    for (i = 0; i < n; ++i) {
      to[i] = all[i];
    }
  }
}

#endif
