/* Hann window in fixed point, and the headroom of what it leaves: the bits that any magnitude has are collected. */
#include "mltk_fe_stages.h"

/* A magnitude of 32768 has a bit of its own and never counts as the loudest: in TensorFlow's op it wraps to -32768. */
#define MAGNITUDE_BITS 0x7FFFu

#if defined(__ARM_FEATURE_SIMD32) && MLTK_FE_LANES == 1

/* Two samples at once, one in each half of a word. Returns the bits of all magnitudes. */
static inline uint32_t window_pairs(const int16_t *samples, const int16_t *coefficients, int16_t *windowed,
                                    uint32_t n_pairs) {
  uint32_t magnitudes = 0;
  for (; n_pairs != 0; --n_pairs, samples += 2, coefficients += 2, windowed += 2) {
    int32_t x, c, low, high;
    uint32_t value, negative;
    __builtin_memcpy(&x, samples, sizeof(x));
    __builtin_memcpy(&c, coefficients, sizeof(c));
    low = ((int16_t)x * (int16_t)c) >> MLTK_FE_WINDOW_BITS;
    high = (x >> 16) * (c >> 16);
    value = (((uint32_t)high << (16 - MLTK_FE_WINDOW_BITS)) & 0xFFFF0000u) | ((uint32_t)low & 0xFFFFu);
    __builtin_memcpy(windowed, &value, sizeof(value));
    /* -v is ~v + 1: no carry leaves the lower half, ~v is at most 32767. */
    negative = (value >> 15) & 0x00010001u;
    magnitudes |= (value ^ ((negative << 16) - negative)) + negative;
  }
  return magnitudes | magnitudes >> 16;
}

#else

static inline uint32_t window_pairs(const int16_t *samples, const int16_t *coefficients, int16_t *windowed,
                                    uint32_t n_pairs) {
  uint32_t magnitudes = 0;
  uint32_t i;
  for (i = 0; i < 2 * n_pairs; ++i) {
    const int32_t value = (int16_t)(((int32_t)samples[i] * coefficients[i]) >> MLTK_FE_WINDOW_BITS);
    const int32_t sign = value >> 31;
    windowed[i * MLTK_FE_LANES] = (int16_t)value;
    magnitudes |= (uint32_t)((value ^ sign) - sign);
  }
  return magnitudes;
}

#endif

void mltk_fe_window(const mltk_fe_window_tables *tables, const int16_t *const samples[MLTK_FE_LANES], int16_t *windowed,
                    uint32_t shift[MLTK_FE_LANES]) {
  const uint32_t even = tables->size & ~1u;
  int lane;
  for (lane = 0; lane < MLTK_FE_LANES; ++lane) {
    const int16_t *MLTK_FE_RESTRICT input = samples[lane];
    int16_t *MLTK_FE_RESTRICT output = windowed + lane;
    uint32_t magnitudes = window_pairs(input, tables->coefficients, output, even / 2);
    if (even != tables->size) {
      const int32_t value = (int16_t)(((int32_t)input[even] * tables->coefficients[even]) >> MLTK_FE_WINDOW_BITS);
      output[even * MLTK_FE_LANES] = (int16_t)value;
      magnitudes |= (uint32_t)(value < 0 ? -value : value);
    }
    shift[lane] = 15u - mltk_fe_bit_length(magnitudes & MAGNITUDE_BITS);
  }
}
