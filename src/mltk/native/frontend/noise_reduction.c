/* Spectral subtraction: a slow running estimate of each channel's noise is taken off. */
#include "mltk_fe_stages.h"

void mltk_fe_noise_reduction(const mltk_fe_noise_tables *tables, uint32_t *MLTK_FE_RESTRICT estimate,
                             uint32_t *MLTK_FE_RESTRICT signal, uint32_t n_channels) {
  const uint32_t one = (uint32_t)1 << MLTK_FE_NOISE_BITS;
  const uint32_t bits = tables->smoothing_bits;
  uint32_t channel;
  for (channel = 0; channel < n_channels; ++channel) {
    uint32_t *const value = signal + (size_t)channel * MLTK_FE_LANES;
    const uint32_t smoothing = tables->smoothing[channel & 1];
    const uint32_t scaled = *value << bits;
    const uint64_t mixed = (uint64_t)scaled * smoothing + (uint64_t)estimate[channel] * (one - smoothing);
    const uint32_t noise = (uint32_t)(mixed >> MLTK_FE_NOISE_BITS);
    const uint32_t least = (uint32_t)(((uint64_t)*value * tables->min_signal_remaining) >> MLTK_FE_NOISE_BITS);
    const uint32_t cleaned = (scaled > noise ? scaled - noise : 0u) >> bits;
    estimate[channel] = noise;
    *value = cleaned > least ? cleaned : least;
  }
}
