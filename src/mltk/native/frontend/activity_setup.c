/* The activity detection's constants: filters in Q8, thresholds in Q12. */
#include "mltk_fe_setup_stages.h"

mltk_fe_status mltk_fe_activity_setup(const mltk_fe_settings *settings, mltk_fe_activity_tables *tables) {
  if (!mltk_fe_within(settings->activity_detection_alpha_a, 0.0, 1.0) ||
      !mltk_fe_within(settings->activity_detection_alpha_b, 0.0, 1.0) ||
      !mltk_fe_within(settings->activity_detection_arm_threshold, 0.0, 7.999) ||
      !mltk_fe_within(settings->activity_detection_trip_threshold, 0.0, 7.999)) {
    return MLTK_FE_ERROR_RANGE;
  }
  tables->enable = settings->activity_detection_enable != 0;
  /* ceil(log2(n)): the sum becomes a mean, or less. */
  tables->shift = mltk_fe_bit_length(settings->filterbank_n_channels - 1);
  tables->alpha_a = (uint32_t)(settings->activity_detection_alpha_a * 256.0);
  tables->alpha_b = (uint32_t)(settings->activity_detection_alpha_b * 256.0);
  tables->arm_threshold = (uint32_t)(settings->activity_detection_arm_threshold * 4096.0);
  tables->trip_threshold = (uint32_t)(settings->activity_detection_trip_threshold * 4096.0);
  return MLTK_FE_OK;
}
