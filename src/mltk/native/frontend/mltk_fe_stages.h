/* The stages of the frontend, for frontend.c and for tests. Arrays are [element][lane]. */
#ifndef MLTK_FE_STAGES_H
#define MLTK_FE_STAGES_H

#include "mltk_fe.h"

#if defined(_MSC_VER)
#define MLTK_FE_RESTRICT __restrict
#else
#define MLTK_FE_RESTRICT restrict
#endif

/* For functions that are compiled anew for each of some constants. */
#if defined(__GNUC__)
#define MLTK_FE_ALWAYS_INLINE inline __attribute__((always_inline))
#else
#define MLTK_FE_ALWAYS_INLINE inline
#endif

#define MLTK_FE_WINDOW_BITS 12
#define MLTK_FE_FILTERBANK_BITS 12
#define MLTK_FE_NOISE_BITS 14
#define MLTK_FE_PCAN_SNR_BITS 12
#define MLTK_FE_PCAN_OUTPUT_BITS 6
/* 2 values for 0 and 1, and for each further bit length a value, a slope, a curvature and a gap; no gap at the end. */
#define MLTK_FE_PCAN_LUT_SIZE 125
#define MLTK_FE_LOG_SCALE_BITS 16
#define MLTK_FE_LOG_SEGMENT_BITS 7
#define MLTK_FE_LOG_SEGMENTS (1 << MLTK_FE_LOG_SEGMENT_BITS)
/* ln(2) in Q16 */
#define MLTK_FE_LOG_LN2 45426u

/* The number of bits that `x` takes: 0 for 0, 32 for 2^31. */
static inline uint32_t mltk_fe_bit_length(uint32_t x) {
#if defined(__GNUC__) || defined(__clang__)
  return x == 0 ? 0u : 32u - (uint32_t)__builtin_clz(x);
#else
  uint32_t length = 0;
  uint32_t step;
  for (step = 16; step != 0; step >>= 1) {
    if (x >> step != 0) {
      x >>= step;
      length += step;
    }
  }
  return length + x;
#endif
}

/* Multiply each lane's window and tell by how many bits it can be shifted up without overflow. */
void mltk_fe_window(const mltk_fe_window_tables *tables, const int16_t *const samples[MLTK_FE_LANES], int16_t *windowed,
                    uint32_t shift[MLTK_FE_LANES]);

/* Real FFT of `windowed` shifted up by `shift`; the result is scaled by 1 / length. */
void mltk_fe_fft(const mltk_fe_fft_tables *tables, const int16_t *windowed, const uint32_t shift[MLTK_FE_LANES],
                 mltk_fe_complex *spectrum);

/* Squared magnitude of the bins from start_bin to end_bin. */
void mltk_fe_energy(const mltk_fe_filterbank_tables *tables, const mltk_fe_complex *spectrum, uint32_t *energy);

/* Weighted sums of the bins in each triangular mel channel. */
void mltk_fe_filterbank(const mltk_fe_filterbank_tables *tables, const uint32_t *energy, uint64_t *sums);

/* Rounded square root, shifted down by `shift`: amplitudes again. */
void mltk_fe_square_root(uint32_t n_channels, const uint64_t *sums, const uint32_t shift[MLTK_FE_LANES],
                         uint32_t *signal);

/* These look at one lane: signal[channel * MLTK_FE_LANES]. */
void mltk_fe_activity(const mltk_fe_activity_tables *tables, mltk_fe_activity_state *state, const uint32_t *signal,
                      uint32_t n_channels);
void mltk_fe_noise_reduction(const mltk_fe_noise_tables *tables, uint32_t *estimate, uint32_t *signal,
                             uint32_t n_channels);
void mltk_fe_pcan(const mltk_fe_pcan_tables *tables, const uint32_t *noise_estimate, uint32_t *signal,
                  uint32_t n_channels);

/* Scaled natural logarithm (if enabled), saturated to 16 bits, of one lane. */
void mltk_fe_log(const mltk_fe_log_tables *tables, const uint32_t *signal, uint32_t n_channels, uint16_t *features);

#endif
