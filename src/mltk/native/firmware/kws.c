#include "kws.h"

#include "../frontend/mltk_fe_stages.h"

#if KWS_GAIN_MULTIPLIER == 0
/* The samples are taken as they are. */
#elif KWS_GAIN_SHIFT == 0

static int16_t amplify(int16_t sample) {
  const int32_t loud = sample * KWS_GAIN_MULTIPLIER;
  return (int16_t)(loud > 32767 ? 32767 : (loud < -32768 ? -32768 : loud));
}

#else

/* x / 2^shift to the nearest, to the even one of two equally near. */
static uint64_t shift_to_nearest_even(uint64_t x, uint32_t shift) {
  const uint64_t half = shift == 0 ? 0 : (uint64_t)1 << (shift - 1);
  const uint64_t rest = x & (((uint64_t)1 << shift) - 1);
  const uint64_t down = x >> shift;
  return shift != 0 && (rest > half || (rest == half && (down & 1) != 0)) ? down + 1 : down;
}

/* A sample times the gain, saturated. Python computes in float32: the product is rounded to its 24 bits first, then to
 * a whole number. */
static int16_t amplify(int16_t sample) {
  const int is_negative = sample < 0;
  const uint64_t product = (uint64_t)(uint32_t)(is_negative ? -(int32_t)sample : sample) * KWS_GAIN_MULTIPLIER;
  const uint32_t high = (uint32_t)(product >> 24);
  const uint32_t dropped = mltk_fe_bit_length(high);
  const uint64_t rounded = shift_to_nearest_even(product, dropped);
  uint64_t loud = 65536; /* with no bits left behind the point: far too loud */
  if (dropped < KWS_GAIN_SHIFT) {
    loud = shift_to_nearest_even(rounded, KWS_GAIN_SHIFT - dropped);
  }
  if (is_negative) {
    return (int16_t)(loud > 32768 ? -32768 : -(int32_t)loud);
  }
  return (int16_t)(loud > 32767 ? 32767 : loud);
}

#endif

int kws_init(kws_state *state) {
  const mltk_fe_status frontend =
      mltk_fe_init(&kws_frontend_tables, state->frontend_memory, sizeof(state->frontend_memory), &state->frontend);
  const mltk_detector_status detector = mltk_detector_init(&state->detector, &kws_detector_config,
                                                           state->result_times_ms, state->result_scores, KWS_RESULTS);
  state->oldest = 0;
  state->missing = KWS_FRAMES;
  state->until_due = 0;
  state->time_ms = 0;
  state->next_time_ms = KWS_FIRST_MS;
  state->next_time_rest = KWS_FIRST_REST;
  state->inference_time_ms = -1;
  return (int)frontend | (int)detector | (int)kws_model_init(&state->model);
}

int64_t kws_time_ms(const kws_state *state) { return state->time_ms; }

/* Take one window's features. */
static void push_row(kws_state *state, const uint16_t *features) {
#if KWS_QUANTIZE_DYNAMIC
  size_t i;
  for (i = 0; i < KWS_CHANNELS; ++i) {
    state->ring[state->oldest][i] = features[i];
  }
#else
  mltk_fe_quantize(&kws_frontend_tables.quantize, features, KWS_CHANNELS, state->ring[state->oldest]);
#endif
  state->oldest = (uint16_t)(state->oldest + 1 == KWS_FRAMES ? 0 : state->oldest + 1);
  if (state->missing != 0) {
    --state->missing;
  }
}

/* The model's input: the ring, oldest row first. */
#if KWS_QUANTIZE_DYNAMIC

static void fill_input(kws_state *state) {
  int8_t *input = kws_model_input(&state->model);
  const uint16_t *values = &state->ring[0][0];
  uint16_t highest = 0;
  size_t row = state->oldest;
  size_t i;
  for (i = 0; i < KWS_FRAMES * KWS_CHANNELS; ++i) {
    highest = values[i] > highest ? values[i] : highest;
  }
  for (i = 0; i < KWS_FRAMES; ++i) {
    mltk_fe_quantize_below(&kws_frontend_tables.quantize, highest, state->ring[row], KWS_CHANNELS, input);
    input += KWS_CHANNELS;
    row = row + 1 == KWS_FRAMES ? 0 : row + 1;
  }
}

#else

static void fill_input(kws_state *state) {
  int8_t *input = kws_model_input(&state->model);
  size_t row = state->oldest;
  size_t n, i;
  for (n = 0; n < KWS_FRAMES; ++n) {
    for (i = 0; i < KWS_CHANNELS; ++i) {
      *input++ = state->ring[row][i];
    }
    row = row + 1 == KWS_FRAMES ? 0 : row + 1;
  }
}

#endif

/* Run the model on the newest windows and let the recognizer decide. */
static void infer(kws_state *state, kws_detection *heard) {
  uint8_t scores[KWS_CLASSES];
  mltk_detector_decision decision;
  size_t i;
  fill_input(state);
  (void)kws_model_invoke(&state->model); /* fails only without a state */
  for (i = 0; i < KWS_CLASSES; ++i) {
    scores[i] = (uint8_t)(kws_model_output(&state->model)[i] + KWS_SCORE_OFFSET);
  }
  if (mltk_detector_update(&state->detector, scores, state->time_ms, &decision) == MLTK_DETECTOR_OK &&
      decision.is_detection) {
    heard->label = kws_detector_config.labels[decision.class_id];
    heard->score = decision.score;
    heard->class_id = decision.class_id;
    heard->time_ms = state->time_ms;
  }
}

/* A window is complete: is an inference due at its end? The i-th is due i * latency after the first. */
static int is_due(kws_state *state) {
  if (state->missing != 0) {
    return 0;
  }
  if (KWS_LATENCY == 0) {
    return 1;
  }
  if (state->until_due > 0) {
    state->until_due -= KWS_STEP;
    if (state->until_due > 0) {
      return 0;
    }
  }
  while (state->until_due <= 0) {
    state->until_due += KWS_LATENCY;
  }
  return 1;
}

static void advance_time(kws_state *state) {
  state->time_ms = state->next_time_ms;
  state->next_time_ms += KWS_STEP_MS;
  state->next_time_rest += KWS_STEP_REST;
  if (state->next_time_rest >= KWS_SAMPLE_RATE_HZ) {
    state->next_time_rest -= KWS_SAMPLE_RATE_HZ;
    ++state->next_time_ms;
  }
}

size_t kws_feed(kws_state *state, const int16_t *samples, size_t n_samples, kws_detection *heard) {
  uint16_t features[KWS_CHANNELS];
  size_t n_taken = 0;
  int is_row;
#if KWS_GAIN_MULTIPLIER != 0
  int16_t loud[KWS_CHUNK];
  size_t i;
  n_samples = n_samples < KWS_CHUNK ? n_samples : KWS_CHUNK;
  for (i = 0; i < n_samples; ++i) {
    loud[i] = amplify(samples[i]);
  }
  samples = loud;
#endif
  heard->label = NULL;
  is_row = mltk_fe_process(&kws_frontend_tables, &state->frontend, samples, n_samples, &n_taken, features);
  if (is_row == 0) {
    return n_taken;
  }
  advance_time(state);
  push_row(state, features);
  /* Windows less than 1 ms apart can end in the same one: one result is enough. */
  if (is_due(state) && state->time_ms != state->inference_time_ms) {
    state->inference_time_ms = state->time_ms;
    infer(state, heard);
  }
  return n_taken;
}
