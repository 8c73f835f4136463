/* Checks settings, lays the tables out in the caller's memory and lets each stage fill its own. */
#include "mltk_fe_setup_stages.h"

#define MIN_WINDOW 3u /* the smallest real FFT has 4 points */
#define MAX_WINDOW 32768u

typedef struct {
  size_t window, order, twiddles, split, widths, weights, gain_lut, segments; /* offsets in bytes */
  size_t total;
} layout;

static size_t place(layout *sizes, size_t bytes) {
  const size_t offset = sizes->total;
  sizes->total += (bytes + MLTK_FE_ALIGNMENT - 1) & ~(size_t)(MLTK_FE_ALIGNMENT - 1);
  return offset;
}

static layout lay_out(const mltk_fe_settings *settings) {
  const uint32_t half = mltk_fe_fft_half(settings->window_size);
  const uint32_t radix = mltk_fe_fft_first_radix(half);
  layout sizes = {0, 0, 0, 0, 0, 0, 0, 0, 0};
  sizes.window = place(&sizes, settings->window_size * sizeof(int16_t));
  sizes.order = place(&sizes, half / radix * sizeof(uint16_t));
  /* Stages of width radix, 4 radix, ... below `half`: 3 m twiddles each are half - radix in all. */
  sizes.twiddles = place(&sizes, (half - radix) * sizeof(mltk_fe_twiddle));
  sizes.split = place(&sizes, half / 2 * sizeof(mltk_fe_twiddle));
  sizes.widths = place(&sizes, (settings->filterbank_n_channels + 1) * sizeof(uint16_t));
  sizes.weights = place(&sizes, (half + 1) * sizeof(mltk_fe_weight));
  sizes.gain_lut = place(&sizes, MLTK_FE_PCAN_LUT_SIZE * sizeof(int16_t));
  sizes.segments = place(&sizes, (MLTK_FE_LOG_SEGMENTS + 1) * sizeof(uint16_t));
  return sizes;
}

static mltk_fe_status check_sizes(const mltk_fe_settings *settings) {
  if (settings->window_size < MIN_WINDOW || settings->window_size > MAX_WINDOW || settings->window_step == 0 ||
      settings->window_step > settings->window_size) {
    return MLTK_FE_ERROR_WINDOW;
  }
  if (settings->filterbank_n_channels == 0 ||
      settings->filterbank_n_channels > mltk_fe_fft_half(settings->window_size)) {
    return MLTK_FE_ERROR_CHANNELS;
  }
  return MLTK_FE_OK;
}

size_t mltk_fe_tables_bytes(const mltk_fe_settings *settings) {
  return settings == NULL || check_sizes(settings) != MLTK_FE_OK ? 0 : lay_out(settings).total;
}

static mltk_fe_status set_up_small_stages(const mltk_fe_settings *settings, mltk_fe_tables *tables) {
  mltk_fe_status status = mltk_fe_dc_notch_setup(settings, &tables->dc_notch);
  if (status == MLTK_FE_OK) {
    status = mltk_fe_activity_setup(settings, &tables->activity);
  }
  if (status == MLTK_FE_OK) {
    status = mltk_fe_noise_setup(settings, &tables->noise);
  }
  return status;
}

mltk_fe_status mltk_fe_setup(const mltk_fe_settings *settings, void *memory, size_t bytes, mltk_fe_tables *tables) {
  uint8_t *const base = memory;
  layout at;
  uint32_t half;
  int32_t correction_bits;
  mltk_fe_status status;
  if (settings == NULL || memory == NULL || tables == NULL) {
    return MLTK_FE_ERROR_NULL;
  }
  status = check_sizes(settings);
  if (status != MLTK_FE_OK) {
    return status;
  }
  at = lay_out(settings);
  if ((uintptr_t)memory % MLTK_FE_ALIGNMENT != 0 || bytes < at.total) {
    return MLTK_FE_ERROR_MEMORY;
  }
  half = mltk_fe_fft_half(settings->window_size);
  /* The FFT divides by its length, the filterbank's weights multiply by 2^12 before the square root. */
  correction_bits = (int32_t)mltk_fe_bit_length(half) - MLTK_FE_FILTERBANK_BITS / 2;

  tables->window.size = settings->window_size;
  tables->window.step = settings->window_step;
  tables->window.coefficients = (int16_t *)(void *)(base + at.window);
  mltk_fe_window_setup(settings->window_size, (int16_t *)(void *)(base + at.window));

  tables->fft.half = half;
  tables->fft.first_radix = mltk_fe_fft_first_radix(half);
  tables->fft.order = (uint16_t *)(void *)(base + at.order);
  tables->fft.twiddles = (mltk_fe_twiddle *)(void *)(base + at.twiddles);
  tables->fft.split = (mltk_fe_twiddle *)(void *)(base + at.split);
  mltk_fe_fft_setup(half, (uint16_t *)(void *)(base + at.order), (mltk_fe_twiddle *)(void *)(base + at.twiddles),
                    (mltk_fe_twiddle *)(void *)(base + at.split));

  tables->filterbank.widths = (uint16_t *)(void *)(base + at.widths);
  tables->filterbank.weights = (mltk_fe_weight *)(void *)(base + at.weights);
  status = mltk_fe_filterbank_setup(settings, half, &tables->filterbank, (uint16_t *)(void *)(base + at.widths),
                                    (mltk_fe_weight *)(void *)(base + at.weights));
  if (status == MLTK_FE_OK) {
    status = set_up_small_stages(settings, tables);
  }
  if (status == MLTK_FE_OK) {
    status = mltk_fe_pcan_setup(settings, correction_bits, &tables->pcan, (int16_t *)(void *)(base + at.gain_lut));
  }
  if (status == MLTK_FE_OK) {
    status = mltk_fe_log_setup(settings, correction_bits, &tables->log, (uint16_t *)(void *)(base + at.segments));
  }
  if (status == MLTK_FE_OK) {
    status = mltk_fe_quantize_setup(settings, &tables->quantize);
  }
  return status;
}
