/* From the spectrum to mel channels: energy, triangular filters. */
#include "mltk_fe_stages.h"

void mltk_fe_energy(const mltk_fe_filterbank_tables *tables, const mltk_fe_complex *MLTK_FE_RESTRICT spectrum,
                    uint32_t *MLTK_FE_RESTRICT energy) {
  uint32_t bin;
  int lane;
  for (bin = tables->start_bin; bin < tables->end_bin; ++bin) {
    for (lane = 0; lane < MLTK_FE_LANES; ++lane) {
      const int32_t re = spectrum[bin].re[lane];
      const int32_t im = spectrum[bin].im[lane];
      energy[bin * MLTK_FE_LANES + (uint32_t)lane] = (uint32_t)(re * re) + (uint32_t)(im * im);
    }
  }
}

/* A bin between two centres counts for the channel above it by `upper` and for the one below by `lower`. */
void mltk_fe_filterbank(const mltk_fe_filterbank_tables *tables, const uint32_t *MLTK_FE_RESTRICT energy,
                        uint64_t *MLTK_FE_RESTRICT sums) {
  const mltk_fe_weight *weights = tables->weights;
  const uint32_t *bin = energy + (size_t)tables->start_bin * MLTK_FE_LANES;
  uint64_t carried[MLTK_FE_LANES];
  uint32_t channel, i;
  int lane;
  for (lane = 0; lane < MLTK_FE_LANES; ++lane) {
    carried[lane] = 0;
  }
  for (channel = 0; channel <= tables->n_channels; ++channel) {
    const uint32_t width = tables->widths[channel];
    uint64_t upper[MLTK_FE_LANES], lower[MLTK_FE_LANES];
    for (lane = 0; lane < MLTK_FE_LANES; ++lane) {
      upper[lane] = carried[lane];
      lower[lane] = 0;
    }
    for (i = 0; i < width; ++i) {
      for (lane = 0; lane < MLTK_FE_LANES; ++lane) {
        upper[lane] += (uint64_t)(uint32_t)weights->upper * bin[lane];
        lower[lane] += (uint64_t)(uint32_t)weights->lower * bin[lane];
      }
      ++weights;
      bin += MLTK_FE_LANES;
    }
    for (lane = 0; lane < MLTK_FE_LANES; ++lane) {
      if (channel != 0) {
        sums[(channel - 1) * MLTK_FE_LANES + (uint32_t)lane] = upper[lane];
      }
      carried[lane] = lower[lane];
    }
  }
}
