/* The dynamic range of the int8 output in units of the features. */
#include "mltk_fe_setup_stages.h"

/* ln(10) / 20: decibels to nepers. */
#define NEPERS_PER_DB 0.11512925465

mltk_fe_status mltk_fe_quantize_setup(const mltk_fe_settings *settings, mltk_fe_quantize_tables *tables) {
  double scale;
  if (settings->log_scale_shift > MLTK_FE_MAX_LOG_SHIFT ||
      !mltk_fe_within(settings->quantize_dynamic_scale_range_db, 0.0, 1000.0)) {
    return MLTK_FE_ERROR_RANGE;
  }
  scale = (double)((uint32_t)1 << settings->log_scale_shift);
  tables->dynamic = settings->quantize_dynamic_scale_enable != 0;
  tables->range = (uint32_t)(settings->quantize_dynamic_scale_range_db * scale * NEPERS_PER_DB);
  return MLTK_FE_OK;
}
