#include "detector.h"

uint16_t mltk_detector_results_needed(uint32_t average_window_ms, uint32_t interval_ms, uint16_t minimum_count) {
  const uint32_t interval = interval_ms == 0 ? 1 : interval_ms;
  /* Both ends of the window count; 64 bits because the window may be the largest uint32. */
  uint64_t needed = minimum_count == 0 ? 1 : (uint64_t)(average_window_ms / interval) + 2;
  if (needed < minimum_count) {
    needed = minimum_count;
  }
  return needed > UINT16_MAX ? 0 : (uint16_t)needed;
}

mltk_detector_status mltk_detector_init(mltk_detector_state *state, const mltk_detector_config *config,
                                        int64_t *times_ms, uint8_t *scores, uint16_t n_results) {
  if (state == NULL || config == NULL || times_ms == NULL || scores == NULL) {
    return MLTK_DETECTOR_BAD_ARGUMENT;
  }
  if (config->n_classes == 0 || config->labels == NULL || config->thresholds == NULL) {
    return MLTK_DETECTOR_BAD_ARGUMENT;
  }
  for (uint16_t i = 0; i < config->n_classes; ++i) {
    if (config->labels[i] == NULL) {
      return MLTK_DETECTOR_BAD_ARGUMENT;
    }
  }
  if (n_results == 0 || n_results < config->minimum_count) {
    return MLTK_DETECTOR_BAD_ARGUMENT;
  }
  state->config = config;
  state->times_ms = times_ms;
  state->scores = scores;
  state->n_results = n_results;
  mltk_detector_reset(state);
  return MLTK_DETECTOR_OK;
}

void mltk_detector_reset(mltk_detector_state *state) {
  state->last_time_ms = -1;
  state->detection_time_ms = 0;
  state->oldest = 0;
  state->count = 0;
  state->detection_class = 0;
  state->has_detection = false;
}

/* Rule 1: forget what is older than the averaging window; without averaging, everything. */
static void drop_old_results(mltk_detector_state *state, int64_t time_ms) {
  const int64_t limit_ms = time_ms - (int64_t)state->config->average_window_ms;
  while (state->count > 0 && (state->config->minimum_count == 0 || state->times_ms[state->oldest] < limit_ms)) {
    state->oldest = (uint16_t)(state->oldest + 1 == state->n_results ? 0 : state->oldest + 1);
    --state->count;
  }
}

/* Slot of the i-th oldest result; i <= count < 65536, so the sum fits 32 bits. */
static size_t slot(const mltk_detector_state *state, uint16_t i) {
  const uint32_t index = (uint32_t)state->oldest + i;
  return index >= state->n_results ? index - state->n_results : index;
}

static void push_result(mltk_detector_state *state, const uint8_t *scores, int64_t time_ms) {
  const size_t n_classes = state->config->n_classes;
  const size_t newest = slot(state, state->count);
  state->times_ms[newest] = time_ms;
  for (size_t c = 0; c < n_classes; ++c) {
    state->scores[newest * n_classes + c] = scores[c];
  }
  ++state->count;
}

/* Rule 2. Sums fit 32 bits: at most 65535 results of 255. */
static void find_top_class(const mltk_detector_state *state, mltk_detector_decision *decision) {
  const size_t n_classes = state->config->n_classes;
  for (size_t c = 0; c < n_classes; ++c) {
    uint32_t sum = 0;
    for (uint16_t i = 0; i < state->count; ++i) {
      sum += state->scores[slot(state, i) * n_classes + c];
    }
    const uint8_t average = (uint8_t)(sum / state->count);
    if (c == 0 || average > decision->score) {
      decision->class_id = (uint16_t)c;
      decision->score = average;
    }
  }
}

/* Rule 3. */
static bool is_detection(const mltk_detector_state *state, const mltk_detector_decision *decision, int64_t time_ms) {
  const mltk_detector_config *config = state->config;
  if (decision->score <= config->thresholds[decision->class_id]) {
    return false;
  }
  if (config->mode == MLTK_DETECTOR_TOOLKIT && config->labels[decision->class_id][0] == '_') {
    return false;
  }
  return !state->has_detection || decision->class_id != state->detection_class ||
         time_ms - state->detection_time_ms > (int64_t)config->suppression_ms;
}

mltk_detector_status mltk_detector_update(mltk_detector_state *state, const uint8_t *scores, int64_t time_ms,
                                          mltk_detector_decision *decision) {
  if (state == NULL || scores == NULL || decision == NULL) {
    return MLTK_DETECTOR_BAD_ARGUMENT;
  }
  decision->class_id = 0;
  decision->score = 0;
  decision->is_decided = false;
  decision->is_detection = false;
  if (time_ms <= state->last_time_ms) {
    return MLTK_DETECTOR_TIME_NOT_RISING;
  }
  drop_old_results(state, time_ms);
  if (state->count == state->n_results) {
    return MLTK_DETECTOR_FULL;
  }
  push_result(state, scores, time_ms);
  state->last_time_ms = time_ms;
  if (state->count < state->config->minimum_count) {
    return MLTK_DETECTOR_OK;
  }
  decision->is_decided = true;
  find_top_class(state, decision);
  decision->is_detection = is_detection(state, decision, time_ms);
  if (decision->is_detection) {
    state->has_detection = true;
    state->detection_class = decision->class_id;
    state->detection_time_ms = time_ms;
  }
  return MLTK_DETECTOR_OK;
}
