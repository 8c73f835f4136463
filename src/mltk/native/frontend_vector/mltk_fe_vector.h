/* The audio frontend on a host's vector units: many windows at once, bit for bit the values of mltk_fe.h.
 *
 * Windows do not depend on one another up to the square root: each lane of a vector is a window, of the same clip or
 * of the next. Noise reduction, PCAN and log run across the channels of one window after the other. Few windows, such
 * as the one that a stream's next 10 ms complete, are taken one after the other, with lanes inside the window.
 *
 * For PCs only: firmware does not take this folder. All memory belongs to the caller, as in mltk_fe.h.
 */
#ifndef MLTK_FE_VECTOR_H
#define MLTK_FE_VECTOR_H

#include "mltk_fe.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The alignment in bytes of a plan's and a scratch's memory. */
#define MLTK_FE_VECTOR_ALIGNMENT 64

/* Clips of equal length, one after the other, that went through the DC notch before. */
typedef struct {
  const int16_t *samples;
  size_t n_clips;
  size_t length;      /* samples from one clip to the next */
  size_t n_windows;   /* windows of each clip */
  uint16_t *features; /* [n_clips][n_windows][n_channels] */
} mltk_fe_vector_clips;

/* One form of the frontend, for one kind of processor. */
typedef struct {
  const char *name;
  uint32_t lanes; /* windows at once */

  /* A plan: the tables as this form reads them. It may be shared by threads. */
  size_t (*plan_bytes)(const mltk_fe_tables *tables);
  void (*make_plan)(const mltk_fe_tables *tables, void *plan);

  /* A scratch: what changes while features are computed; one a thread. */
  size_t (*scratch_bytes)(const mltk_fe_tables *tables);
  void (*make_scratch)(const mltk_fe_tables *tables, void *scratch);

  /* Features of clips that each start from a fresh state; returns 1 if activity was detected in any, else 0. */
  int (*process_clips)(const mltk_fe_tables *tables, const void *plan, void *scratch,
                       const mltk_fe_vector_clips *clips);

  /* Features of `n_windows` windows of a stream whose samples begin at `samples`; `state` is its state. */
  void (*process_windows)(const mltk_fe_tables *tables, const void *plan, void *scratch, mltk_fe_state *state,
                          const int16_t *samples, size_t n_windows, uint16_t *features);

  /* From how many windows on `process_windows` is faster than the one-lane C. */
  uint32_t (*fewest_windows)(const void *plan);
} mltk_fe_vector_form;

/* The forms that were compiled and that this processor runs, the fastest first; returns how many (at most 3). */
size_t mltk_fe_vector_forms(const mltk_fe_vector_form *forms[3]);

/* Each form, or NULL where it was not compiled; for mltk_fe_vector_forms and for tests. */
const mltk_fe_vector_form *mltk_fe_vector_avx512(void);
const mltk_fe_vector_form *mltk_fe_vector_avx2(void);
const mltk_fe_vector_form *mltk_fe_vector_neon(void);

#ifdef __cplusplus
}
#endif

#endif
