/* From the spectrum to mel channels: energy, triangular filters, square root. */
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

/* Digit by digit, two bits of x a step. Rounded to the nearest but for the one result that would not fit 16 bits. */
static inline uint32_t square_root_32(uint32_t x, uint32_t bit) {
  uint32_t root = 0;
  for (; bit != 0; bit >>= 2) {
    const uint32_t trial = root + bit;
    const uint32_t fits = x >= trial ? ~(uint32_t)0 : 0u;
    x -= trial & fits;
    root = (root >> 1) + (bit & fits);
  }
  return root + (x > root && root != 0xFFFFu ? 1u : 0u);
}

static inline uint32_t square_root_64(uint64_t x, uint64_t bit) {
  const int is_short = (x >> 32) == 0;
  uint64_t root = 0;
  for (; bit != 0; bit >>= 2) {
    const uint64_t trial = root + bit;
    const uint64_t fits = x >= trial ? ~(uint64_t)0 : 0u;
    x -= trial & fits;
    root = (root >> 1) + (bit & fits);
  }
  /* The op takes short numbers through 16 bits: only they are kept from rounding up to 65536. */
  return (uint32_t)(root + (x > root && !(is_short && root == 0xFFFFu) ? 1u : 0u));
}

void mltk_fe_square_root(uint32_t n_channels, const uint64_t *MLTK_FE_RESTRICT sums,
                         const uint32_t shift[MLTK_FE_LANES], uint32_t *MLTK_FE_RESTRICT signal) {
  uint32_t channel;
  int lane;
  for (channel = 0; channel < n_channels; ++channel) {
    const uint64_t *const x = sums + (size_t)channel * MLTK_FE_LANES;
    uint32_t *const root = signal + (size_t)channel * MLTK_FE_LANES;
    uint64_t any = 0;
    uint32_t high;
    for (lane = 0; lane < MLTK_FE_LANES; ++lane) {
      any |= x[lane];
    }
    high = (uint32_t)(any >> 32);
    if (high == 0) {
      const uint32_t length = mltk_fe_bit_length((uint32_t)any);
      const uint32_t bit = length == 0 ? 0u : (uint32_t)1 << ((length - 1) & ~(uint32_t)1);
      for (lane = 0; lane < MLTK_FE_LANES; ++lane) {
        root[lane] = square_root_32((uint32_t)x[lane], bit) >> shift[lane];
      }
    } else {
      const uint64_t bit = (uint64_t)1 << (32 + ((mltk_fe_bit_length(high) - 1) & ~(uint32_t)1));
      for (lane = 0; lane < MLTK_FE_LANES; ++lane) {
        root[lane] = square_root_64(x[lane], bit) >> shift[lane];
      }
    }
  }
}
