/* Keyword spotting from samples to words: gain, audio frontend, model, recognizer.
 *
 * The same C files that run in Python, put together as mltk's streaming detector does it: the same samples give the
 * same words at the same times, however the samples are cut into chunks. No heap, no I/O, no floating point. The caller
 * owns the state, which may be static.
 */
#ifndef KWS_H_
#define KWS_H_

#include "../detector/detector.h"
#include "../frontend/mltk_fe.h"
#include "../model/kws_model.h"
#include "kws_settings.h"

typedef struct {
  const char *label; /* NULL: nothing was heard */
  uint8_t score;     /* the averaged score, 0 to 255 */
  uint16_t class_id;
  int64_t time_ms; /* of sound since the start, at the end of the newest window that the model saw */
} kws_detection;

/* Private: set up by kws_init. */
typedef struct {
  uint64_t frontend_memory[KWS_FRONTEND_BYTES / sizeof(uint64_t)];
  mltk_fe_state frontend;
  /* The newest windows' features, a ring of rows. */
#if KWS_QUANTIZE_DYNAMIC
  uint16_t ring[KWS_FRAMES][KWS_CHANNELS]; /* scaled anew for each inference */
#else
  int8_t ring[KWS_FRAMES][KWS_CHANNELS];
#endif
  uint16_t oldest;           /* row */
  uint16_t missing;          /* windows until the first inference */
  int64_t until_due;         /* to the next inference, in 1 / (1000 * rate) s; due when it is not above 0 */
  int64_t time_ms;           /* end of the newest window */
  int64_t next_time_ms;      /* end of the window after that */
  uint32_t next_time_rest;   /* what that is rounded down by, in 1 / (1000 * rate) s */
  int64_t inference_time_ms; /* of the latest inference */
  kws_model_state model;
  mltk_detector_state detector;
  int64_t result_times_ms[KWS_RESULTS];
  uint8_t result_scores[KWS_RESULTS * KWS_CLASSES];
} kws_state;

/* Begin at 0 ms. Returns 0, or another number if the settings do not fit together, which those of mltk do. */
int kws_init(kws_state *state);

/* Take samples (16 bit, mono, KWS_SAMPLE_RATE_HZ), at most up to the end of the window that is being filled.
 * Returns how many were taken, at least 1 of n_samples > 0. `heard` tells whether a word was heard with them. */
size_t kws_feed(kws_state *state, const int16_t *samples, size_t n_samples, kws_detection *heard);

/* Milliseconds of sound at the end of the newest window. */
int64_t kws_time_ms(const kws_state *state);

#endif /* KWS_H_ */
