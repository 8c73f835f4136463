/* Activity detection: a fast and a slow average of the signal's mean; trips when the fast one rises again. */
#include "mltk_fe_stages.h"

/* One-pole filter in Q8 with rounding. */
static inline uint32_t smooth(uint32_t average, uint64_t level, uint32_t alpha) {
  const uint64_t mixed = (uint64_t)(256u - alpha) * level + (uint64_t)alpha * average;
  return (uint32_t)(((mixed >> 7) + 1) >> 1);
}

void mltk_fe_activity(const mltk_fe_activity_tables *tables, mltk_fe_activity_state *state, const uint32_t *signal,
                      uint32_t n_channels) {
  uint64_t level = 0;
  uint32_t channel;
  for (channel = 0; channel < n_channels; ++channel) {
    level += signal[(size_t)channel * MLTK_FE_LANES];
  }
  level >>= tables->shift;
  state->fast = smooth(state->fast, level, tables->alpha_a);
  state->slow = smooth(state->slow, level, tables->alpha_b);
  if (state->armed == 0) {
    if (state->fast < ((uint64_t)state->slow * tables->arm_threshold) >> 12) {
      state->armed = 1;
    }
  } else if (state->fast > ((uint64_t)state->slow * tables->trip_threshold) >> 12) {
    state->armed = 0;
    state->tripped = 1;
  }
}

int mltk_fe_activity_was_detected(mltk_fe_state *state) {
  const int tripped = state->activity.tripped != 0;
  state->activity.tripped = 0;
  return tripped;
}
