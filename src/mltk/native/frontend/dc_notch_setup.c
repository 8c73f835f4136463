/* The DC notch filter's coefficient in Q15. */
#include "mltk_fe_setup_stages.h"

mltk_fe_status mltk_fe_dc_notch_setup(const mltk_fe_settings *settings, mltk_fe_dc_notch_tables *tables) {
  if (!mltk_fe_within(settings->dc_notch_filter_coefficient, 0.0, 32767.0 / 32768.0)) {
    return MLTK_FE_ERROR_RANGE;
  }
  tables->enable = settings->dc_notch_filter_enable != 0;
  tables->coefficient = (int32_t)(settings->dc_notch_filter_coefficient * 32768.0);
  return MLTK_FE_OK;
}
