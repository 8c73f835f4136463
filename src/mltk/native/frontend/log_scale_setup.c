/* What log2(1 + x) is above x, in Q16, at the ends of 128 segments of [0, 1]. */
#include <math.h>

#include "mltk_fe_setup_stages.h"

#define LN_2 0.69314718055994530942

mltk_fe_status mltk_fe_log_setup(const mltk_fe_settings *settings, int32_t correction_bits, mltk_fe_log_tables *tables,
                                 uint16_t *segments) {
  uint32_t i;
  if (settings->log_scale_shift > MLTK_FE_MAX_LOG_SHIFT) {
    return MLTK_FE_ERROR_RANGE;
  }
  tables->enable = settings->log_scale_enable != 0;
  tables->scale_shift = settings->log_scale_shift;
  tables->correction_bits = correction_bits;
  tables->segments = segments;
  for (i = 0; i <= MLTK_FE_LOG_SEGMENTS; ++i) {
    const double x = (double)i / MLTK_FE_LOG_SEGMENTS;
    segments[i] = (uint16_t)floor((log1p(x) / LN_2 - x) * (double)(1 << MLTK_FE_LOG_SCALE_BITS) + 0.5);
  }
  return MLTK_FE_OK;
}
