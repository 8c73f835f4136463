/* Runs vectors through the recognizer for a sanitizer build. Input on stdin, numbers apart by white space:
 * n_classes minimum_count average_window_ms suppression_ms mode n_results n_rows, a label and a threshold a class, then
 * a time and n_classes scores a row. Prints "status decided detection class score" a row. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "detector.h"

static unsigned long number(void) {
  unsigned long value = 0;
  if (scanf("%lu", &value) != 1) {
    exit(3);
  }
  return value;
}

int main(void) {
  mltk_detector_config config;
  mltk_detector_state state;
  config.n_classes = (uint16_t)number();
  config.minimum_count = (uint16_t)number();
  config.average_window_ms = (uint32_t)number();
  config.suppression_ms = (uint32_t)number();
  config.mode = number() ? MLTK_DETECTOR_MICRO_SPEECH : MLTK_DETECTOR_TOOLKIT;
  const uint16_t n_results = (uint16_t)number();
  const unsigned long n_rows = number();
  /* From the heap and of the exact size, so that the sanitizer sees one byte too far. */
  char (*names)[16] = malloc(config.n_classes * sizeof *names);
  const char **labels = malloc(config.n_classes * sizeof *labels);
  uint8_t *thresholds = malloc(config.n_classes);
  int64_t *times_ms = malloc(n_results * sizeof *times_ms);
  uint8_t *ring = malloc((size_t)n_results * config.n_classes);
  uint8_t *scores = malloc(config.n_classes);
  if (!names || !labels || !thresholds || !times_ms || !ring || !scores) {
    return 4;
  }
  for (uint16_t c = 0; c < config.n_classes; ++c) {
    if (scanf("%15s", names[c]) != 1) {
      return 3;
    }
    labels[c] = names[c];
    thresholds[c] = (uint8_t)number();
  }
  config.labels = labels;
  config.thresholds = thresholds;
  if (mltk_detector_init(NULL, &config, times_ms, ring, n_results) != MLTK_DETECTOR_BAD_ARGUMENT ||
      mltk_detector_init(&state, &config, NULL, ring, n_results) != MLTK_DETECTOR_BAD_ARGUMENT ||
      mltk_detector_init(&state, &config, times_ms, ring, 0) != MLTK_DETECTOR_BAD_ARGUMENT ||
      mltk_detector_update(NULL, scores, 0, NULL) != MLTK_DETECTOR_BAD_ARGUMENT) {
    return 5;
  }
  const mltk_detector_status status = mltk_detector_init(&state, &config, times_ms, ring, n_results);
  for (unsigned long row = 0; status == MLTK_DETECTOR_OK && row < n_rows; ++row) {
    mltk_detector_decision decision;
    int64_t time_ms;
    if (scanf("%" SCNd64, &time_ms) != 1) {
      return 3;
    }
    for (uint16_t c = 0; c < config.n_classes; ++c) {
      scores[c] = (uint8_t)number();
    }
    const mltk_detector_status result = mltk_detector_update(&state, scores, time_ms, &decision);
    printf("%d %d %d %u %u\n", (int)result, decision.is_decided, decision.is_detection, decision.class_id,
           decision.score);
  }
  free(names);
  free(labels);
  free(thresholds);
  free(times_ms);
  free(ring);
  free(scores);
  return (int)status;
}
