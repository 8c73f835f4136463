/* PCAN's gain curve (noise + offset)^-strength as a table of parabolas, one for each bit length of the noise. */
#include <math.h>

#include "mltk_fe_setup_stages.h"

static int16_t gain_at(const mltk_fe_settings *settings, int32_t input_bits, uint32_t noise) {
  const float x = (float)noise / (float)((uint32_t)1 << input_bits);
  const float gain =
      (float)((uint32_t)1 << settings->pcan_gain_bits) * powf(x + settings->pcan_offset, -settings->pcan_strength);
  return gain > 32767.0f ? (int16_t)32767 : (int16_t)(gain + 0.5f);
}

static void fill(const mltk_fe_settings *settings, int32_t input_bits, int16_t *lut) {
  uint32_t length;
  lut[0] = gain_at(settings, input_bits, 0);
  lut[1] = gain_at(settings, input_bits, 1);
  for (length = 2; length <= 32; ++length) {
    const uint32_t start = (uint32_t)1 << (length - 1);
    const uint32_t middle = start + (start >> 1);
    const uint32_t end = length == 32 ? start + (start - 1) : 2 * start;
    const int16_t y0 = gain_at(settings, input_bits, start);
    const int32_t rise_1 = (int32_t)gain_at(settings, input_bits, middle) - y0;
    const int32_t rise_2 = (int32_t)gain_at(settings, input_bits, end) - y0;
    const int32_t slope = 4 * rise_1 - rise_2;
    int16_t *const parabola = lut + (4 * length - 6);
    parabola[0] = y0;
    parabola[1] = (int16_t)slope;
    parabola[2] = (int16_t)(rise_2 - slope);
    if (length != 32) {
      parabola[3] = 0;
    }
  }
}

mltk_fe_status mltk_fe_pcan_setup(const mltk_fe_settings *settings, int32_t correction_bits,
                                  mltk_fe_pcan_tables *tables, int16_t *gain_lut) {
  const int32_t input_bits = (int32_t)settings->noise_reduction_smoothing_bits - correction_bits;
  const int32_t snr_shift = (int32_t)settings->pcan_gain_bits - correction_bits - MLTK_FE_PCAN_SNR_BITS;
  uint32_t i;
  tables->enable = settings->pcan_enable != 0;
  tables->gain_lut = gain_lut;
  if (tables->enable == 0) {
    tables->snr_shift = 0;
    for (i = 0; i < MLTK_FE_PCAN_LUT_SIZE; ++i) {
      gain_lut[i] = 0;
    }
    return MLTK_FE_OK;
  }
  if (input_bits < 0 || input_bits > 31 || snr_shift < 0 || settings->pcan_gain_bits > 31 ||
      !mltk_fe_within((double)settings->pcan_strength, 0.0, 100.0) ||
      !mltk_fe_within((double)settings->pcan_offset, 0.0, 1e9)) {
    return MLTK_FE_ERROR_RANGE;
  }
  tables->snr_shift = (uint32_t)snr_shift;
  fill(settings, input_bits, gain_lut);
  return MLTK_FE_OK;
}
