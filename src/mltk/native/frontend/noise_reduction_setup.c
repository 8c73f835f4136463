/* The noise reduction's coefficients in Q14. */
#include "mltk_fe_setup_stages.h"

#define MAX_SMOOTHING_BITS 12 /* a signal stays below 2^20: more bits would overflow 32 bits on loud audio */

static uint32_t q14(float x) {
  const float scaled = x * (float)(1 << MLTK_FE_NOISE_BITS);
  return (uint32_t)scaled;
}

mltk_fe_status mltk_fe_noise_setup(const mltk_fe_settings *settings, mltk_fe_noise_tables *tables) {
  if (settings->noise_reduction_smoothing_bits > MAX_SMOOTHING_BITS ||
      !mltk_fe_within((double)settings->noise_reduction_even_smoothing, 0.0, 1.0) ||
      !mltk_fe_within((double)settings->noise_reduction_odd_smoothing, 0.0, 1.0) ||
      !mltk_fe_within((double)settings->noise_reduction_min_signal_remaining, 0.0, 1.0)) {
    return MLTK_FE_ERROR_RANGE;
  }
  tables->enable = settings->noise_reduction_enable != 0;
  tables->smoothing_bits = settings->noise_reduction_smoothing_bits;
  tables->smoothing[0] = q14(settings->noise_reduction_even_smoothing);
  tables->smoothing[1] = q14(settings->noise_reduction_odd_smoothing);
  tables->min_signal_remaining = q14(settings->noise_reduction_min_signal_remaining);
  return MLTK_FE_OK;
}
