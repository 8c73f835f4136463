/* Natural logarithm in fixed point: log2 from the bit length and a table of 128 segments, then times ln(2). */
#include "mltk_fe_stages.h"

/* log2(x) in Q16, x >= 1. */
static inline uint32_t log2_q16(uint32_t x, const uint16_t *segments) {
  const uint32_t whole = mltk_fe_bit_length(x) - 1;
  const uint32_t rest = x - ((uint32_t)1 << whole);
  const uint32_t fraction = whole < MLTK_FE_LOG_SCALE_BITS ? rest << (MLTK_FE_LOG_SCALE_BITS - whole)
                                                           : rest >> (whole - MLTK_FE_LOG_SCALE_BITS);
  const uint32_t segment = fraction >> (MLTK_FE_LOG_SCALE_BITS - MLTK_FE_LOG_SEGMENT_BITS);
  const uint32_t start = segment << (MLTK_FE_LOG_SCALE_BITS - MLTK_FE_LOG_SEGMENT_BITS);
  const int32_t from = segments[segment];
  const int32_t to = segments[segment + 1];
  const int32_t between = ((to - from) * (int32_t)(fraction - start)) >> MLTK_FE_LOG_SCALE_BITS;
  return (whole << MLTK_FE_LOG_SCALE_BITS) + (uint32_t)((int32_t)fraction + from + between);
}

void mltk_fe_log(const mltk_fe_log_tables *tables, const uint32_t *MLTK_FE_RESTRICT signal, uint32_t n_channels,
                 uint16_t *MLTK_FE_RESTRICT features) {
  const uint32_t half = (uint32_t)1 << (MLTK_FE_LOG_SCALE_BITS - 1);
  uint32_t channel;
  for (channel = 0; channel < n_channels; ++channel) {
    uint32_t value = signal[(size_t)channel * MLTK_FE_LANES];
    if (tables->enable != 0) {
      value = tables->correction_bits < 0 ? value >> -tables->correction_bits : value << tables->correction_bits;
      if (value > 1) {
        const uint64_t scaled = (uint64_t)MLTK_FE_LOG_LN2 * log2_q16(value, tables->segments) + half;
        const uint32_t natural = (uint32_t)(scaled >> MLTK_FE_LOG_SCALE_BITS);
        value = ((natural << tables->scale_shift) + half) >> MLTK_FE_LOG_SCALE_BITS;
      } else {
        value = 0;
      }
    }
    features[channel] = (uint16_t)(value < 0xFFFFu ? value : 0xFFFFu);
  }
}
