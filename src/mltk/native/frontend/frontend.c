/* The whole chain, for a stream and for a clip. */
#include "mltk_fe_stages.h"

static void *take(uint8_t **memory, size_t bytes) {
  void *const part = *memory;
  *memory += MLTK_FE_ALIGNED(bytes);
  return part;
}

size_t mltk_fe_state_bytes(const mltk_fe_tables *tables) {
  return MLTK_FE_STATE_BYTES(tables->window.size, tables->fft.half, tables->filterbank.n_channels);
}

mltk_fe_status mltk_fe_init(const mltk_fe_tables *tables, void *memory, size_t bytes, mltk_fe_state *state) {
  const size_t channels = tables != NULL ? tables->filterbank.n_channels : 0;
  const size_t bins = tables != NULL ? (size_t)tables->fft.half + 1 : 0;
  uint8_t *free_memory = memory;
  if (tables == NULL || memory == NULL || state == NULL) {
    return MLTK_FE_ERROR_NULL;
  }
  if ((uintptr_t)memory % MLTK_FE_ALIGNMENT != 0 || bytes < mltk_fe_state_bytes(tables)) {
    return MLTK_FE_ERROR_MEMORY;
  }
  state->history = take(&free_memory, tables->window.size * sizeof(int16_t));
  state->spectrum = take(&free_memory, bins * sizeof(mltk_fe_complex));
  state->energy = take(&free_memory, bins * MLTK_FE_LANES * sizeof(uint32_t));
  state->windowed = (int16_t *)(void *)state->energy;
  state->sums = take(&free_memory, channels * MLTK_FE_LANES * sizeof(uint64_t));
  state->signal = take(&free_memory, channels * MLTK_FE_LANES * sizeof(uint32_t));
  state->noise_estimate = take(&free_memory, channels * sizeof(uint32_t));
  mltk_fe_reset(tables, state);
  return MLTK_FE_OK;
}

void mltk_fe_reset(const mltk_fe_tables *tables, mltk_fe_state *state) {
  uint32_t channel;
  state->dc_notch.input = 0;
  state->dc_notch.output = 0;
  state->used = 0;
  for (channel = 0; channel < tables->filterbank.n_channels; ++channel) {
    state->noise_estimate[channel] = 0;
  }
  state->activity.fast = 0;
  state->activity.slow = 0;
  state->activity.armed = 0;
  state->activity.tripped = 0;
}

/* Features of `n` (1 to MLTK_FE_LANES) windows that start `window.step` samples apart. */
static void process_windows(const mltk_fe_tables *tables, mltk_fe_state *state, const int16_t *samples, size_t n,
                            uint16_t *features) {
  const uint32_t channels = tables->filterbank.n_channels;
  const int16_t *windows[MLTK_FE_LANES];
  uint32_t shift[MLTK_FE_LANES];
  size_t lane, i;
  for (lane = 0; lane < MLTK_FE_LANES; ++lane) {
    /* Lanes without a window of their own repeat the last one; nobody looks at them. */
    windows[lane] = samples + (lane < n ? lane : n - 1) * tables->window.step;
  }
  mltk_fe_window(&tables->window, windows, state->windowed, shift);
  /* The FFT reads zeros behind the window. */
  for (i = (size_t)tables->window.size * MLTK_FE_LANES; i < 2 * (size_t)tables->fft.half * MLTK_FE_LANES; ++i) {
    state->windowed[i] = 0;
  }
  mltk_fe_fft(&tables->fft, state->windowed, shift, state->spectrum);
  mltk_fe_energy(&tables->filterbank, state->spectrum, state->energy);
  mltk_fe_filterbank(&tables->filterbank, state->energy, state->sums);
  mltk_fe_square_root(channels, state->sums, shift, state->signal);
  for (lane = 0; lane < n; ++lane) {
    uint32_t *const signal = state->signal + lane;
    if (tables->activity.enable != 0) {
      mltk_fe_activity(&tables->activity, &state->activity, signal, channels);
    }
    if (tables->noise.enable != 0) {
      mltk_fe_noise_reduction(&tables->noise, state->noise_estimate, signal, channels);
    }
    if (tables->pcan.enable != 0) {
      mltk_fe_pcan(&tables->pcan, state->noise_estimate, signal, channels);
    }
    mltk_fe_log(&tables->log, signal, channels, features + lane * channels);
  }
}

int mltk_fe_process(const mltk_fe_tables *tables, mltk_fe_state *state, const int16_t *samples, size_t n_samples,
                    size_t *n_taken, uint16_t *features) {
  const uint32_t size = tables->window.size;
  const uint32_t step = tables->window.step;
  const size_t missing = size - state->used;
  const size_t taken = n_samples < missing ? n_samples : missing;
  uint32_t i;
  mltk_fe_dc_notch(tables, state, samples, taken, state->history + state->used);
  state->used += (uint32_t)taken;
  *n_taken = taken;
  if (state->used < size) {
    return 0;
  }
  process_windows(tables, state, state->history, 1, features);
  for (i = 0; i < size - step; ++i) {
    state->history[i] = state->history[i + step];
  }
  state->used = size - step;
  return 1;
}

void mltk_fe_process_clip(const mltk_fe_tables *tables, mltk_fe_state *state, const int16_t *samples, size_t n_windows,
                          uint16_t *features) {
  size_t done;
  for (done = 0; done < n_windows; done += MLTK_FE_LANES) {
    const size_t left = n_windows - done;
    process_windows(tables, state, samples + done * tables->window.step, left < MLTK_FE_LANES ? left : MLTK_FE_LANES,
                    features + done * tables->filterbank.n_channels);
  }
}
