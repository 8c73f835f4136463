/* The fixed-point audio frontend: 16-bit PCM in, one row of uint16 mel features per window out.
 *
 *   DC notch -> Hann window -> FFT -> energy -> mel filterbank -> square root -> (activity detection looks)
 *   -> noise reduction -> PCAN gain control -> log
 *
 * This header is what runs on a chip: integers only, no libm, no heap, no stdio. Tables are constant and may live in
 * flash; `mltk_fe_setup.h` computes them. All memory belongs to the caller.
 *
 * The stages without memory (window to square root, and log) run MLTK_FE_LANES windows at once: their arrays are
 * [element][lane], their innermost loop runs over the lanes. One lane is plain code.
 *
 * Right shifts of negative numbers are taken to be arithmetic and narrowing casts to wrap, as on every compiler that is
 * supported; no signed arithmetic overflows.
 */
#ifndef MLTK_FE_H
#define MLTK_FE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef MLTK_FE_LANES
#define MLTK_FE_LANES 1
#endif

/* The alignment in bytes that memory given to this library must have. */
#define MLTK_FE_ALIGNMENT 8

typedef enum {
  MLTK_FE_OK = 0,
  MLTK_FE_ERROR_NULL = 1,     /* a pointer is NULL */
  MLTK_FE_ERROR_MEMORY = 2,   /* the caller's memory is too small or not aligned */
  MLTK_FE_ERROR_WINDOW = 3,   /* window or step in samples outside 3..32768, or step above the window */
  MLTK_FE_ERROR_BANDS = 4,    /* band limits outside 0..rate/2, or crossed */
  MLTK_FE_ERROR_CHANNELS = 5, /* channels outside 1..fft_length/2 */
  MLTK_FE_ERROR_RANGE = 6     /* another setting outside its range */
} mltk_fe_status;

typedef struct {
  int16_t re;
  int16_t im;
} mltk_fe_twiddle;

typedef struct {
  int16_t re[MLTK_FE_LANES];
  int16_t im[MLTK_FE_LANES];
} mltk_fe_complex;

/* How much of a spectral bin goes to the channel on its upper side and on its lower side, in 1/4096. */
typedef struct {
  int16_t upper;
  int16_t lower;
} mltk_fe_weight;

/* ---- constant tables, in the order the data passes them ---- */

typedef struct {
  uint32_t enable;
  int32_t coefficient; /* Q15 */
} mltk_fe_dc_notch_tables;

typedef struct {
  uint32_t size; /* samples */
  uint32_t step; /* samples */
  const int16_t *coefficients;
} mltk_fe_window_tables;

typedef struct {
  uint32_t half;                   /* complex points: half the real length, a power of two >= 2 */
  uint32_t first_radix;            /* 4, or 2 where `half` is no power of 4 */
  const uint16_t *order;           /* [half / first_radix] first point of each first butterfly */
  const mltk_fe_twiddle *twiddles; /* for each further radix-4 stage of width m: [3][m] */
  const mltk_fe_twiddle *split;    /* [half / 2] to part the even and odd samples' spectra */
} mltk_fe_fft_tables;

typedef struct {
  uint32_t n_channels;
  uint32_t start_bin;
  uint32_t end_bin;              /* one past the last */
  const uint16_t *widths;        /* [n_channels + 1] bins between neighbouring channels' centres */
  const mltk_fe_weight *weights; /* [end_bin - start_bin] */
} mltk_fe_filterbank_tables;

typedef struct {
  uint32_t enable;
  uint32_t shift;
  uint32_t alpha_a; /* Q8 */
  uint32_t alpha_b;
  uint32_t arm_threshold; /* Q12 */
  uint32_t trip_threshold;
} mltk_fe_activity_tables;

typedef struct {
  uint32_t enable;
  uint32_t smoothing_bits;
  uint32_t smoothing[2];         /* Q14, of even and odd channels */
  uint32_t min_signal_remaining; /* Q14 */
} mltk_fe_noise_tables;

typedef struct {
  uint32_t enable;
  uint32_t snr_shift;
  const int16_t *gain_lut; /* [MLTK_FE_PCAN_LUT_SIZE] */
} mltk_fe_pcan_tables;

typedef struct {
  uint32_t enable;
  uint32_t scale_shift;
  int32_t correction_bits;
  const uint16_t *segments; /* [MLTK_FE_LOG_SEGMENTS + 1] */
} mltk_fe_log_tables;

typedef struct {
  uint32_t dynamic;
  uint32_t range; /* in units of the features */
} mltk_fe_quantize_tables;

typedef struct {
  mltk_fe_dc_notch_tables dc_notch;
  mltk_fe_window_tables window;
  mltk_fe_fft_tables fft;
  mltk_fe_filterbank_tables filterbank;
  mltk_fe_activity_tables activity;
  mltk_fe_noise_tables noise;
  mltk_fe_pcan_tables pcan;
  mltk_fe_log_tables log;
  mltk_fe_quantize_tables quantize;
} mltk_fe_tables;

/* ---- what changes while audio runs ---- */

typedef struct {
  int16_t input;
  int16_t output;
} mltk_fe_dc_notch_state;

typedef struct {
  uint32_t fast;
  uint32_t slow;
  uint32_t armed;
  uint32_t tripped; /* stays set until it is read */
} mltk_fe_activity_state;

typedef struct {
  mltk_fe_dc_notch_state dc_notch;
  uint32_t used;     /* samples in `history` */
  int16_t *history;  /* [window.size] */
  int16_t *windowed; /* [2 * fft.half][lane]; the same memory as `energy`: one is done before the other begins */
  mltk_fe_complex *spectrum; /* [fft.half + 1] */
  uint32_t *energy;          /* [fft.half + 1][lane] */
  uint64_t *sums;            /* [n_channels][lane] */
  uint32_t *signal;          /* [n_channels][lane] */
  uint32_t *noise_estimate;  /* [n_channels] */
  mltk_fe_activity_state activity;
} mltk_fe_state;

/* Bytes that `mltk_fe_init` needs, as a constant for static memory: of window.size, fft.half and
 * filterbank.n_channels. */
#define MLTK_FE_ALIGNED(bytes) (((bytes) + MLTK_FE_ALIGNMENT - 1) & ~(size_t)(MLTK_FE_ALIGNMENT - 1))
#define MLTK_FE_STATE_BYTES(window_size, half, n_channels)                        \
  (MLTK_FE_ALIGNED((window_size) * sizeof(int16_t)) +                             \
   2 * MLTK_FE_ALIGNED(((size_t)(half) + 1) * MLTK_FE_LANES * sizeof(uint32_t)) + \
   MLTK_FE_ALIGNED((size_t)(n_channels) * MLTK_FE_LANES * sizeof(uint64_t)) +     \
   MLTK_FE_ALIGNED((size_t)(n_channels) * MLTK_FE_LANES * sizeof(uint32_t)) +     \
   MLTK_FE_ALIGNED((size_t)(n_channels) * sizeof(uint32_t)))

/* Bytes that `mltk_fe_init` needs for these tables. */
size_t mltk_fe_state_bytes(const mltk_fe_tables *tables);

/* Lay the state out in the caller's memory and reset it. */
mltk_fe_status mltk_fe_init(const mltk_fe_tables *tables, void *memory, size_t bytes, mltk_fe_state *state);

/* Forget all audio: what follows gives the same features as in a fresh state. */
void mltk_fe_reset(const mltk_fe_tables *tables, mltk_fe_state *state);

/* Take samples of a stream until one row of features is complete or the samples are used up.
 * Returns 1 if `features` [n_channels] was written, and in any case how many samples were taken. */
int mltk_fe_process(const mltk_fe_tables *tables, mltk_fe_state *state, const int16_t *samples, size_t n_samples,
                    size_t *n_taken, uint16_t *features);

/* The features [n_windows][n_channels] of a clip that lies in memory as a whole, `state` freshly reset.
 * `samples` holds window.size + (n_windows - 1) * window.step samples that went through `mltk_fe_dc_notch` before. */
void mltk_fe_process_clip(const mltk_fe_tables *tables, mltk_fe_state *state, const int16_t *samples, size_t n_windows,
                          uint16_t *features);

/* Remove the DC offset if that is enabled, else copy. `output` may be `samples`. */
void mltk_fe_dc_notch(const mltk_fe_tables *tables, mltk_fe_state *state, const int16_t *samples, size_t n_samples,
                      int16_t *output);

/* Tell whether the activity detection has tripped since the last call. */
int mltk_fe_activity_was_detected(mltk_fe_state *state);

/* Scale features to int8: each by a fixed rule, or (`dynamic`) over all `n` of them together. */
void mltk_fe_quantize(const mltk_fe_quantize_tables *tables, const uint16_t *features, size_t n, int8_t *output);

/* The dynamic scale alone, for features that lie in several places: `highest` is the largest of them all. */
void mltk_fe_quantize_below(const mltk_fe_quantize_tables *tables, uint16_t highest, const uint16_t *features, size_t n,
                            int8_t *output);

#ifdef __cplusplus
}
#endif

#endif
