/* PCAN, per-channel amplitude normalization: each channel is divided by a power of its noise estimate, then compressed.
 */
#include "mltk_fe_stages.h"

/* The gain for a noise estimate: a table of parabolas, one for each bit length. */
static inline int32_t gain_of(uint32_t noise, const int16_t *lut) {
  uint32_t length;
  const int16_t *parabola;
  int32_t fraction, result;
  if (noise <= 2) {
    return lut[noise];
  }
  length = mltk_fe_bit_length(noise);
  parabola = lut + (4 * length - 6);
  fraction = (int32_t)((length < 11 ? noise << (11 - length) : noise >> (length - 11)) & 0x3FF);
  result = ((int32_t)parabola[2] * fraction) >> 5;
  result += (int32_t)parabola[1] * 32;
  result *= fraction;
  result = (result + (1 << 14)) >> 15;
  return (int16_t)(result + parabola[0]);
}

/* Square small values, keep large ones: a curve without a kink. */
static inline uint32_t shrink(uint32_t snr) {
  if (snr < ((uint32_t)2 << MLTK_FE_PCAN_SNR_BITS)) {
    return (snr * snr) >> (2 + 2 * MLTK_FE_PCAN_SNR_BITS - MLTK_FE_PCAN_OUTPUT_BITS);
  }
  return (snr >> (MLTK_FE_PCAN_SNR_BITS - MLTK_FE_PCAN_OUTPUT_BITS)) - ((uint32_t)1 << MLTK_FE_PCAN_OUTPUT_BITS);
}

void mltk_fe_pcan(const mltk_fe_pcan_tables *tables, const uint32_t *MLTK_FE_RESTRICT noise_estimate,
                  uint32_t *MLTK_FE_RESTRICT signal, uint32_t n_channels) {
  uint32_t channel;
  for (channel = 0; channel < n_channels; ++channel) {
    uint32_t *const value = signal + (size_t)channel * MLTK_FE_LANES;
    const uint32_t gain = (uint32_t)gain_of(noise_estimate[channel], tables->gain_lut);
    *value = shrink((uint32_t)(((uint64_t)*value * gain) >> tables->snr_shift));
  }
}
