/* The whole chain of the vector forms; each of the files that define a processor family's vectors includes this one. */
#ifndef MLTK_FE_VECTOR_WHOLE_H
#define MLTK_FE_VECTOR_WHOLE_H

#include "vector_alone.h"

/* From so many windows on, it is faster to give each its lane than to take one after the other. */
#define MANY (LANES * 3 / 4)

static void watch_activity(const mltk_fe_tables *tables, const scratch_data *scratch, mltk_fe_activity_state *activity,
                           uint32_t fresh, uint32_t n) {
  uint32_t lane;
  for (lane = 0; lane < n; ++lane) {
    if ((fresh >> lane & 1u) != 0) {
      activity->fast = 0;
      activity->slow = 0;
      activity->armed = 0;
    }
    mltk_fe_activity(&tables->activity, activity, scratch->window + (size_t)lane * padded_channels(tables),
                     tables->filterbank.n_channels);
  }
}

/* The channels' amplitudes of `n` windows; lanes from `n` on repeat another one's, nobody looks at them. */
static void amplitudes_lanes(const mltk_fe_tables *tables, const plan_data *plan, const scratch_data *scratch,
                             const int16_t *const samples[LANES]) {
  const uint32_t padded = padded_channels(tables);
  uint32_t shift[LANES], channel;
  window_lanes(tables, plan, scratch, samples, shift);
  fft_lanes(tables, plan, scratch);
  filter_lanes(&tables->filterbank, plan, scratch, shift);
  for (channel = 0; channel < padded; channel += LANES) {
    transpose(scratch->signal + (size_t)channel * LANES, LANES, scratch->window + channel, padded, NULL);
  }
}

static void finish(const mltk_fe_tables *tables, const plan_data *plan, const scratch_data *scratch,
                   mltk_fe_activity_state *activity, uint32_t fresh, uint32_t n, uint16_t *features) {
  if (tables->activity.enable != 0) {
    watch_activity(tables, scratch, activity, fresh, n);
  }
  finish_rows(tables, plan, scratch, fresh, n, features);
}

/* Features of `n` windows, at most LANES; bit `lane` of `fresh` says that a clip begins with this window. */
static void process_some(const mltk_fe_tables *tables, const plan_data *plan, const scratch_data *scratch,
                         mltk_fe_activity_state *activity, const int16_t *const samples[LANES], uint32_t fresh,
                         uint32_t n, uint16_t *features) {
  uint32_t i;
  if (n < MANY && plan->runs_alone) {
    for (i = 0; i < n; ++i) {
      amplitudes_alone(tables, plan, scratch, samples[i]);
      finish(tables, plan, scratch, activity, fresh >> i & 1u, 1, features + (size_t)i * tables->filterbank.n_channels);
    }
    return;
  }
  amplitudes_lanes(tables, plan, scratch, samples);
  finish(tables, plan, scratch, activity, fresh, n, features);
}

static int process_clips(const mltk_fe_tables *tables, const void *plan, void *scratch,
                         const mltk_fe_vector_clips *clips) {
  const size_t total = clips->n_clips * clips->n_windows;
  mltk_fe_activity_state activity = {0, 0, 0, 0};
  const int16_t *clip = clips->samples;
  size_t done, window = 0;
  for (done = 0; done < total; done += LANES) {
    const uint32_t n = total - done < LANES ? (uint32_t)(total - done) : LANES;
    const int16_t *samples[LANES];
    uint32_t lane, fresh = 0;
    for (lane = 0; lane < n; ++lane) {
      samples[lane] = clip + window * tables->window.step;
      fresh |= window == 0 ? 1u << lane : 0u;
      if (++window == clips->n_windows) {
        window = 0;
        clip += clips->length;
      }
    }
    for (; lane < LANES; ++lane) {
      samples[lane] = clips->samples;
    }
    process_some(tables, plan, scratch, &activity, samples, fresh, n,
                 clips->features + done * tables->filterbank.n_channels);
  }
  return activity.tripped != 0;
}

static void process_windows(const mltk_fe_tables *tables, const void *plan, void *scratch, mltk_fe_state *state,
                            const int16_t *samples, size_t n_windows, uint16_t *features) {
  const scratch_data *const data = scratch;
  size_t done;
  uint32_t i;
  for (i = 0; i < tables->filterbank.n_channels; ++i) {
    data->noise[i] = state->noise_estimate[i];
  }
  for (done = 0; done < n_windows; done += LANES) {
    const uint32_t n = n_windows - done < LANES ? (uint32_t)(n_windows - done) : LANES;
    const int16_t *windows[LANES];
    for (i = 0; i < LANES; ++i) {
      windows[i] = samples + (done + (i < n ? i : 0)) * tables->window.step;
    }
    process_some(tables, plan, scratch, &state->activity, windows, 0, n,
                 features + done * tables->filterbank.n_channels);
  }
  for (i = 0; i < tables->filterbank.n_channels; ++i) {
    state->noise_estimate[i] = data->noise[i];
  }
}

/* From how many windows on `process_windows` is faster than the one-lane C. */
static uint32_t fewest_windows(const void *plan) { return ((const plan_data *)plan)->runs_alone ? 1u : 2u; }

#endif
