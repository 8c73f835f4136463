/* The recognizer: turns a model's scores over time into "this word was heard now".
 *
 * The same file runs in Python and on the chip: C99, no heap, no floating point, no I/O, no global state. The caller
 * owns all memory; a detector is as thread-safe as its state struct.
 *
 * What it computes (shared reference page `detection.md`, rules 1 to 4):
 *   1. results older than now - average_window_ms are dropped; with fewer than minimum_count left nothing is decided
 *      (minimum_count 0: no averaging, the latest result counts);
 *   2. the scores are averaged for each class, rounded down; the top class is the first with the largest average;
 *   3. a detection: average > the class's threshold, and the class differs from the previous detection's or more than
 *      suppression_ms passed since that;
 *   4. times rise.
 */
#ifndef MLTK_DETECTOR_H_
#define MLTK_DETECTOR_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
  MLTK_DETECTOR_OK = 0,
  MLTK_DETECTOR_BAD_ARGUMENT = 1,    /* a null pointer, no classes, or fewer result slots than minimum_count */
  MLTK_DETECTOR_TIME_NOT_RISING = 2, /* the time is negative, or not after the previous result's */
  MLTK_DETECTOR_FULL = 3             /* more results within average_window_ms than there are slots for */
} mltk_detector_status;

typedef enum {
  /* A class whose label begins with '_' is never reported and never counts as the previous detection. */
  MLTK_DETECTOR_TOOLKIT = 0,
  /* Every class is reported, "unknown" and "silence" too. */
  MLTK_DETECTOR_MICRO_SPEECH = 1
} mltk_detector_mode;

/* Constant while the detector lives; may stay in flash. */
typedef struct {
  const char *const *labels; /* [n_classes] zero-terminated */
  const uint8_t *thresholds; /* [n_classes] an average must be larger to be a detection; 255 silences a class */
  uint16_t n_classes;
  uint16_t minimum_count;
  uint32_t average_window_ms;
  uint32_t suppression_ms;
  mltk_detector_mode mode;
} mltk_detector_config;

/* Private: set up by mltk_detector_init. */
typedef struct {
  const mltk_detector_config *config;
  int64_t *times_ms;         /* [n_results] ring */
  uint8_t *scores;           /* [n_results][n_classes] ring */
  int64_t last_time_ms;      /* of the latest result; -1 before the first */
  int64_t detection_time_ms; /* of the latest detection */
  uint16_t n_results;
  uint16_t oldest;
  uint16_t count;
  uint16_t detection_class; /* of the latest detection */
  bool has_detection;
} mltk_detector_state;

typedef struct {
  uint16_t class_id; /* the top class; 0 while nothing is decided */
  uint8_t score;     /* its average; 0 while nothing is decided */
  bool is_decided;   /* there were at least minimum_count results */
  bool is_detection; /* report it */
} mltk_detector_decision;

/* How many result slots a detector needs whose results come interval_ms apart (0 counts as 1), with one to spare for a
 * clock that trembles. The caller provides int64_t[n] and uint8_t[n * n_classes]. Returns 0 if that is more than 65535.
 */
uint16_t mltk_detector_results_needed(uint32_t average_window_ms, uint32_t interval_ms, uint16_t minimum_count);

/* Set a detector up. config, times_ms and scores must outlive it; the memory need not be cleared. */
mltk_detector_status mltk_detector_init(mltk_detector_state *state, const mltk_detector_config *config,
                                        int64_t *times_ms, uint8_t *scores, uint16_t n_results);

/* Forget all results and the previous detection, as if just set up. */
void mltk_detector_reset(mltk_detector_state *state);

/* Take one result: scores [n_classes], 0 to 255, and its time in milliseconds since the start. 64-bit times never wrap
 * in practice; a chip with a 32-bit millisecond counter, which wraps after 49.7 days, extends it before the call.
 * On any status but OK the result is not taken and `decision` is cleared. */
mltk_detector_status mltk_detector_update(mltk_detector_state *state, const uint8_t *scores, int64_t time_ms,
                                          mltk_detector_decision *decision);

#ifdef __cplusplus
}
#endif

#endif /* MLTK_DETECTOR_H_ */
