/* Runs the frontend's C core over a file of vectors and compares: whole clips, and the same audio cut into chunks. With
 * WITH_VECTORS the forms for this processor's vector units too.
 *
 * usage: frontend_harness FILE
 * The file is what test_native_frontend.py writes: 32-bit little-endian fields, doubles for settings. Memory is given
 * to the core in blocks of exactly the size it asks for, so that an address sanitizer sees any step outside.
 */
#ifdef WITH_VECTORS
#define _POSIX_C_SOURCE 200112L /* posix_memalign */
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mltk_fe_setup.h"
#ifdef WITH_VECTORS
#include "mltk_fe_vector.h"
#endif

#define N_SETTINGS 26

static void stop(const char *what) {
  fprintf(stderr, "harness: %s\n", what);
  exit(2);
}

static void read_bytes(FILE *file, void *target, size_t bytes) {
  if (bytes != 0 && fread(target, 1, bytes, file) != bytes) {
    stop("the vector file is too short");
  }
}

static uint32_t read_u32(FILE *file) {
  uint32_t value;
  read_bytes(file, &value, sizeof(value));
  return value;
}

static void *get(size_t bytes) {
  void *memory = malloc(bytes);
  if (memory == NULL) {
    stop("no memory");
  }
  return memory;
}

static void read_settings(FILE *file, mltk_fe_settings *s) {
  double v[N_SETTINGS];
  read_bytes(file, v, sizeof(v));
  s->sample_rate_hz = (uint32_t)v[0];
  s->dc_notch_filter_enable = (uint32_t)v[1];
  s->dc_notch_filter_coefficient = v[2];
  s->window_size = (uint32_t)v[3];
  s->window_step = (uint32_t)v[4];
  s->filterbank_n_channels = (uint32_t)v[5];
  s->filterbank_upper_band_limit = (float)v[6];
  s->filterbank_lower_band_limit = (float)v[7];
  s->activity_detection_enable = (uint32_t)v[8];
  s->activity_detection_alpha_a = v[9];
  s->activity_detection_alpha_b = v[10];
  s->activity_detection_arm_threshold = v[11];
  s->activity_detection_trip_threshold = v[12];
  s->noise_reduction_enable = (uint32_t)v[13];
  s->noise_reduction_smoothing_bits = (uint32_t)v[14];
  s->noise_reduction_even_smoothing = (float)v[15];
  s->noise_reduction_odd_smoothing = (float)v[16];
  s->noise_reduction_min_signal_remaining = (float)v[17];
  s->pcan_enable = (uint32_t)v[18];
  s->pcan_strength = (float)v[19];
  s->pcan_offset = (float)v[20];
  s->pcan_gain_bits = (uint32_t)v[21];
  s->log_scale_enable = (uint32_t)v[22];
  s->log_scale_shift = (uint32_t)v[23];
  s->quantize_dynamic_scale_enable = (uint32_t)v[24];
  s->quantize_dynamic_scale_range_db = v[25];
}

/* A clip in memory as a whole; returns whether activity was detected. */
static int run_clip(const mltk_fe_tables *tables, mltk_fe_state *state, const int16_t *samples, size_t n,
                    uint16_t *features, size_t frames) {
  int16_t *filtered = get(n * sizeof(int16_t));
  mltk_fe_reset(tables, state);
  mltk_fe_dc_notch(tables, state, samples, n, filtered);
  mltk_fe_process_clip(tables, state, filtered, frames, features);
  free(filtered);
  return mltk_fe_activity_was_detected(state);
}

/* The same as a stream, in chunks of changing size. */
static int run_stream(const mltk_fe_tables *tables, mltk_fe_state *state, const int16_t *samples, size_t n,
                      uint16_t *features, size_t frames) {
  const size_t channels = tables->filterbank.n_channels;
  uint16_t *row = get(channels * sizeof(uint16_t));
  size_t done = 0, rows = 0, chunk = 1;
  mltk_fe_reset(tables, state);
  while (done < n) {
    size_t left = chunk < n - done ? chunk : n - done;
    while (left != 0) {
      size_t taken = 0;
      if (mltk_fe_process(tables, state, samples + done, left, &taken, row)) {
        if (rows == frames) {
          stop("a stream gives more rows than its clip");
        }
        memcpy(features + rows++ * channels, row, channels * sizeof(uint16_t));
      }
      done += taken;
      left -= taken;
    }
    chunk = chunk * 7 % 1009;
  }
  free(row);
  if (rows != frames) {
    stop("a stream gives fewer rows than its clip");
  }
  return mltk_fe_activity_was_detected(state);
}

static unsigned long count_differing(const void *got, const void *expected, size_t n, size_t bytes) {
  unsigned long differing = 0;
  size_t i;
  for (i = 0; i < n; ++i) {
    differing += memcmp((const char *)got + i * bytes, (const char *)expected + i * bytes, bytes) != 0;
  }
  return differing;
}

#ifdef WITH_VECTORS

static void *get_aligned(size_t bytes) {
  void *memory = NULL;
  if (posix_memalign(&memory, MLTK_FE_VECTOR_ALIGNMENT, bytes) != 0) {
    stop("no memory");
  }
  return memory;
}

/* The windows of a stream, first one by one, then several at once, in the end more than there are lanes. */
static void run_windows(const mltk_fe_vector_form *form, const mltk_fe_tables *tables, const void *plan, void *scratch,
                        mltk_fe_state *state, const int16_t *samples, uint16_t *features, size_t frames) {
  size_t done, at_once = 1;
  for (done = 0; done < frames; done += at_once) {
    at_once = done < 5 ? 1 : at_once + 3;
    at_once = at_once < frames - done ? at_once : frames - done;
    form->process_windows(tables, plan, scratch, state, samples + done * tables->window.step, at_once,
                          features + done * tables->filterbank.n_channels);
  }
}

static unsigned long run_form(const mltk_fe_vector_form *form, const mltk_fe_tables *tables, mltk_fe_state *state,
                              const int16_t *filtered, size_t n, const uint16_t *expected, size_t frames,
                              int detected) {
  const size_t size = frames * tables->filterbank.n_channels;
  uint16_t *const features = get(size * sizeof(uint16_t));
  void *const plan = get_aligned(form->plan_bytes(tables));
  void *const scratch = get_aligned(form->scratch_bytes(tables));
  unsigned long differing = 0;
  mltk_fe_vector_clips clips;
  clips.samples = filtered;
  clips.n_clips = 1;
  clips.length = n;
  clips.n_windows = frames;
  clips.features = features;
  form->make_plan(tables, plan);
  memset(scratch, 0xA5, form->scratch_bytes(tables));
  form->make_scratch(tables, scratch);
  differing += form->process_clips(tables, plan, scratch, &clips) != detected;
  differing += count_differing(features, expected, size, sizeof(uint16_t));
  memset(features, 0, size * sizeof(uint16_t));
  mltk_fe_reset(tables, state);
  run_windows(form, tables, plan, scratch, state, filtered, features, frames);
  differing += mltk_fe_activity_was_detected(state) != detected;
  differing += count_differing(features, expected, size, sizeof(uint16_t));
  free(features);
  free(plan);
  free(scratch);
  return differing;
}

static unsigned long run_forms(const mltk_fe_tables *tables, mltk_fe_state *state, const int16_t *samples, size_t n,
                               const uint16_t *expected, size_t frames, int detected) {
  int16_t *const filtered = get(n * sizeof(int16_t));
  const mltk_fe_vector_form *forms[3];
  const size_t n_forms = mltk_fe_vector_forms(forms);
  unsigned long differing = 0;
  size_t i;
  mltk_fe_reset(tables, state);
  mltk_fe_dc_notch(tables, state, samples, n, filtered);
  for (i = 0; i < n_forms; ++i) {
    differing += run_form(forms[i], tables, state, filtered, n, expected, frames, detected);
  }
  free(filtered);
  return differing;
}

static void print_forms(void) {
  const mltk_fe_vector_form *forms[3];
  const size_t n = mltk_fe_vector_forms(forms);
  size_t i;
  for (i = 0; i < n; ++i) {
    printf("%s ", forms[i]->name);
  }
}

#endif

static unsigned long run_case(FILE *file, unsigned long *values) {
  mltk_fe_settings settings;
  mltk_fe_tables tables;
  mltk_fe_state state;
  size_t n, frames, size, bytes;
  int16_t *samples;
  uint16_t *expected, *features;
  int8_t *expected_int8, *features_int8;
  void *table_memory, *state_memory;
  unsigned long differing = 0;
  int detected;
  memset(&settings, 0, sizeof(settings));
  read_settings(file, &settings);
  n = read_u32(file);
  frames = read_u32(file);
  detected = (int)read_u32(file);
  size = frames * settings.filterbank_n_channels;
  samples = get(n * sizeof(int16_t));
  expected = get(size * sizeof(uint16_t));
  expected_int8 = get(size);
  features = get(size * sizeof(uint16_t));
  features_int8 = get(size);
  read_bytes(file, samples, n * sizeof(int16_t));
  read_bytes(file, expected, size * sizeof(uint16_t));
  read_bytes(file, expected_int8, size);

  bytes = mltk_fe_tables_bytes(&settings);
  table_memory = get(bytes);
  if (mltk_fe_setup(&settings, table_memory, bytes - 1, &tables) != MLTK_FE_ERROR_MEMORY ||
      mltk_fe_setup(&settings, NULL, bytes, &tables) != MLTK_FE_ERROR_NULL ||
      mltk_fe_setup(&settings, table_memory, bytes, &tables) != MLTK_FE_OK) {
    stop("set-up has the wrong status");
  }
  bytes = mltk_fe_state_bytes(&tables);
  state_memory = get(bytes);
  if (mltk_fe_init(&tables, state_memory, bytes - 1, &state) != MLTK_FE_ERROR_MEMORY ||
      mltk_fe_init(&tables, NULL, bytes, &state) != MLTK_FE_ERROR_NULL ||
      mltk_fe_init(&tables, state_memory, bytes, &state) != MLTK_FE_OK) {
    stop("init has the wrong status");
  }
  differing += run_clip(&tables, &state, samples, n, features, frames) != detected;
  differing += count_differing(features, expected, size, sizeof(uint16_t));
  memset(features, 0, size * sizeof(uint16_t));
  differing += run_stream(&tables, &state, samples, n, features, frames) != detected;
  differing += count_differing(features, expected, size, sizeof(uint16_t));
  mltk_fe_quantize(&tables.quantize, features, size, features_int8);
  differing += count_differing(features_int8, expected_int8, size, 1);
  *values += 3 * size;
#ifdef WITH_VECTORS
  differing += run_forms(&tables, &state, samples, n, expected, frames, detected);
#endif
  free(samples);
  free(expected);
  free(expected_int8);
  free(features);
  free(features_int8);
  free(table_memory);
  free(state_memory);
  return differing;
}

int main(int argc, char **argv) {
  unsigned long differing = 0, values = 0;
  uint32_t cases, i;
  FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
  if (file == NULL) {
    stop("give a vector file");
  }
  cases = read_u32(file);
  for (i = 0; i < cases; ++i) {
    differing += run_case(file, &values);
  }
  fclose(file);
#ifdef WITH_VECTORS
  print_forms();
#endif
  printf("lanes %d cases %lu values %lu differing %lu\n", MLTK_FE_LANES, (unsigned long)cases, values, differing);
  return differing != 0;
}
