/* Set-up of the audio frontend: turns settings into the constant tables that the hot path reads.
 *
 * This part uses floating point and libm. It runs once, on the PC or at a chip's start; a chip that has the tables as
 * constant data needs none of it.
 */
#ifndef MLTK_FE_SETUP_H
#define MLTK_FE_SETUP_H

#include "mltk_fe.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
  /* audio */
  uint32_t sample_rate_hz;
  uint32_t dc_notch_filter_enable;
  double dc_notch_filter_coefficient;
  /* window */
  uint32_t window_size; /* samples */
  uint32_t window_step; /* samples */
  /* filterbank */
  uint32_t filterbank_n_channels;
  float filterbank_upper_band_limit; /* Hz */
  float filterbank_lower_band_limit; /* Hz */
  /* activity detection */
  uint32_t activity_detection_enable;
  double activity_detection_alpha_a;
  double activity_detection_alpha_b;
  double activity_detection_arm_threshold;
  double activity_detection_trip_threshold;
  /* noise reduction */
  uint32_t noise_reduction_enable;
  uint32_t noise_reduction_smoothing_bits;
  float noise_reduction_even_smoothing;
  float noise_reduction_odd_smoothing;
  float noise_reduction_min_signal_remaining;
  /* PCAN */
  uint32_t pcan_enable;
  float pcan_strength;
  float pcan_offset;
  uint32_t pcan_gain_bits;
  /* log */
  uint32_t log_scale_enable;
  uint32_t log_scale_shift;
  /* int8 output */
  uint32_t quantize_dynamic_scale_enable;
  double quantize_dynamic_scale_range_db;
} mltk_fe_settings;

/* Bytes that `mltk_fe_setup` needs; 0 if the settings are illegal. */
size_t mltk_fe_tables_bytes(const mltk_fe_settings *settings);

/* Check the settings and compute all tables in the caller's memory, which must live as long as they are used. */
mltk_fe_status mltk_fe_setup(const mltk_fe_settings *settings, void *memory, size_t bytes, mltk_fe_tables *tables);

/* The int8 output's part of the tables alone, for features that were computed elsewhere. */
mltk_fe_status mltk_fe_quantize_setup(const mltk_fe_settings *settings, mltk_fe_quantize_tables *tables);

#ifdef __cplusplus
}
#endif

#endif
