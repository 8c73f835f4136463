/* Tables and memory of the frontend's vector forms, in terms of the vectors of one processor family: a `vec` holds
 * LANES numbers of 32 bits or complex numbers of two 16 bits (real part in the lower half).
 */
#ifndef MLTK_FE_VECTOR_PLAN_H
#define MLTK_FE_VECTOR_PLAN_H

#include "mltk_fe_vector.h"

#define WHOLE(n, step) (((n) + (step) - 1) / (step) * (step))
#define BYTES(n) WHOLE((size_t)(n), MLTK_FE_VECTOR_ALIGNMENT)

/* A twiddle as the two factors of mul_pairs: for the real part (re, -im), for the imaginary part (im, re). */
typedef struct {
  uint32_t for_re;
  uint32_t for_im;
} turn_factors;

/* The weight of a bin for the channel above and below it. */
typedef struct {
  uint32_t upper;
  uint32_t lower;
} bin_weights;

/* Twiddles of neighbouring points as vectors. */
typedef struct {
  uint32_t *for_re;
  uint32_t *for_im;
} turn_rows;

/* As many channels as a vector has 64-bit lanes, and how many vectors of bins each of them takes. */
#define GROUP (LANES / 2)
typedef struct {
  uint32_t first[GROUP]; /* bin */
  uint32_t blocks;
} channel_group;

typedef struct {
  int16_t parabolas[3][64];                /* PCAN's gain by bit length */
  uint32_t segments[MLTK_FE_LOG_SEGMENTS]; /* of the logarithm: each one's start, and its end in the upper half */
  int16_t *window;                         /* [samples, whole vectors], 0 behind the window */
  turn_factors *twiddles;
  turn_factors *split;
  bin_weights *weights;
  /* For one window alone. */
  int runs_alone;
  turn_rows late_twiddles; /* of the last two stages: [3][half / 16], [3][half / 4] */
  turn_rows split_rows;    /* [half / 2] from bin 0 on, which is not looked at */
  channel_group *groups;   /* [channel, whole vectors / GROUP] */
  double *group_weights;   /* for each group: [blocks][channel][GROUP bins] */
} plan_data;

typedef struct {
  int16_t *rows;    /* [lane][samples, whole vectors] windowed */
  uint32_t *pairs;  /* [pair of samples][lane]; what lies behind the window stays 0 */
  uint32_t *points; /* [bin][lane] */
  uint32_t *signal; /* [channel, whole vectors][lane] */
  uint32_t *window; /* [lane][channel, whole vectors] */
  uint32_t *noise;  /* [channel, whole vectors] */
  /* For one window alone. */
  int16_t *samples; /* [2 * half, whole vectors] windowed; what lies behind the window stays 0 */
  uint32_t *ping;   /* [half] */
  uint32_t *pong;   /* [half] */
  double *energy;   /* [half + 1, as many bins more as a channel takes] */
} scratch_data;

static inline uint32_t padded_samples(const mltk_fe_tables *tables) { return WHOLE(tables->window.size, 2u * LANES); }
static inline uint32_t padded_channels(const mltk_fe_tables *tables) {
  return WHOLE(tables->filterbank.n_channels, (uint32_t)LANES);
}
static inline uint32_t n_twiddles(const mltk_fe_tables *tables) { return tables->fft.half - tables->fft.first_radix; }
static inline uint32_t n_bins(const mltk_fe_tables *tables) {
  return tables->filterbank.end_bin - tables->filterbank.start_bin;
}

/* The largest sum of weights for which a sum of weighted energies, of at most 2^31 each, stays below 2^50: a double
 * holds it, and the square root of it, rounded to a double, still lies on its side of the middle between two integers.
 */
#define MOST_WEIGHT ((uint32_t)1 << 19)

static inline uint32_t heaviest(const mltk_fe_filterbank_tables *tables) {
  const mltk_fe_weight *weight = tables->weights;
  uint32_t interval, i, most = 0, rising = 0;
  for (interval = 0; interval <= tables->n_channels; ++interval) {
    uint32_t falling = rising;
    rising = 0;
    for (i = tables->widths[interval]; i != 0; --i, ++weight) {
      falling += (uint32_t)(uint16_t)weight->upper;
      rising += (uint32_t)(uint16_t)weight->lower;
    }
    most = falling > most ? falling : most;
  }
  return most;
}

/* Whether one window can be taken alone: the last two stages of its FFT turn half / 16 neighbours at once. */
static inline int runs_alone(const mltk_fe_tables *tables) {
  return tables->fft.half >= 16u * LANES && heaviest(&tables->filterbank) < MOST_WEIGHT;
}
/* Those stages' twiddles: 3 for each 16th and for each 4th of the points. */
static inline uint32_t n_late_twiddles(const mltk_fe_tables *tables) {
  return runs_alone(tables) ? tables->fft.half / 16 * 15 : 0;
}
static inline uint32_t n_split_rows(const mltk_fe_tables *tables) {
  return runs_alone(tables) ? tables->fft.half / 2 : 0;
}

static inline uint32_t n_groups(const mltk_fe_tables *tables) { return padded_channels(tables) / GROUP; }

/* The bins of a channel are those of the intervals below and above its centre. */
static inline uint32_t group_blocks(const mltk_fe_filterbank_tables *tables, uint32_t group) {
  uint32_t channel, widest = 0;
  for (channel = group * GROUP; channel < (group + 1) * GROUP && channel < tables->n_channels; ++channel) {
    const uint32_t width = (uint32_t)tables->widths[channel] + tables->widths[channel + 1];
    widest = width > widest ? width : widest;
  }
  return WHOLE(widest, (uint32_t)GROUP) / GROUP;
}
static inline uint32_t n_blocks(const mltk_fe_tables *tables) {
  uint32_t group, n = 0;
  for (group = 0; group < n_groups(tables) && runs_alone(tables); ++group) {
    n += group_blocks(&tables->filterbank, group);
  }
  return n;
}
/* A group's channels are all read to the width of its widest: what lies behind the last bin counts 0. */
static inline uint32_t padded_energies(const mltk_fe_tables *tables) {
  uint32_t group, most = 0;
  for (group = 0; group < n_groups(tables); ++group) {
    const uint32_t blocks = group_blocks(&tables->filterbank, group);
    most = blocks > most ? blocks : most;
  }
  return WHOLE(tables->fft.half + 1, (uint32_t)LANES) + most * GROUP;
}

static size_t plan_bytes(const mltk_fe_tables *tables) {
  return BYTES(sizeof(plan_data)) + BYTES(padded_samples(tables) * sizeof(int16_t)) +
         BYTES(n_twiddles(tables) * sizeof(turn_factors)) + BYTES(tables->fft.half / 2 * sizeof(turn_factors)) +
         BYTES(n_bins(tables) * sizeof(bin_weights)) + 2 * BYTES(n_late_twiddles(tables) * sizeof(uint32_t)) +
         2 * BYTES(n_split_rows(tables) * sizeof(uint32_t)) + BYTES(n_groups(tables) * sizeof(channel_group)) +
         BYTES(n_blocks(tables) * GROUP * sizeof(vec));
}

static void *take(uint8_t **memory, size_t bytes) {
  void *const part = *memory;
  *memory += BYTES(bytes);
  return part;
}

static turn_factors factors_of(const mltk_fe_twiddle *twiddle) {
  const uint32_t re = (uint16_t)twiddle->re, im = (uint16_t)twiddle->im, minus_im = (uint16_t)-twiddle->im;
  turn_factors factors;
  factors.for_re = minus_im << 16 | re;
  factors.for_im = re << 16 | im;
  return factors;
}

static void fill_turns(const mltk_fe_twiddle *from, uint32_t n, turn_factors *to) {
  uint32_t i;
  for (i = 0; i < n; ++i) {
    to[i] = factors_of(from + i);
  }
}

static void fill_rows(const mltk_fe_twiddle *from, uint32_t n, turn_rows to) {
  uint32_t i;
  for (i = 0; i < n; ++i) {
    const turn_factors factors = factors_of(from + i);
    to.for_re[i] = factors.for_re;
    to.for_im[i] = factors.for_im;
  }
}

static void fill_split(const mltk_fe_twiddle *from, uint32_t n, turn_rows to) {
  turn_rows from_bin_1;
  from_bin_1.for_re = to.for_re + 1;
  from_bin_1.for_im = to.for_im + 1;
  to.for_re[0] = 0;
  to.for_im[0] = 0;
  fill_rows(from, n - 1, from_bin_1);
}

/* The weights of one channel's bins, which begin at `weight`, in its group; 0 where it has no more. */
static void fill_channel(const mltk_fe_weight *weight, uint32_t rising, uint32_t falling, uint32_t blocks, double *to) {
  uint32_t i;
  for (i = 0; i < blocks * GROUP; ++i) {
    const int16_t value = i < rising ? weight[i].lower : (i < rising + falling ? weight[i].upper : (int16_t)0);
    to[(size_t)i / GROUP * GROUP * GROUP + i % GROUP] = value;
  }
}

static void fill_groups(const mltk_fe_filterbank_tables *tables, const plan_data *plan, uint32_t n) {
  double *to = plan->group_weights;
  uint32_t group, i, place = 0;
  for (group = 0; group < n; ++group) {
    channel_group *const one = plan->groups + group;
    one->blocks = group_blocks(tables, group);
    for (i = 0; i < GROUP; ++i) {
      const uint32_t channel = group * GROUP + i;
      const int is_real = channel < tables->n_channels;
      const uint32_t rising = is_real ? tables->widths[channel] : 0u;
      const uint32_t falling = is_real ? tables->widths[channel + 1] : 0u;
      fill_channel(tables->weights + place, rising, falling, one->blocks, to + (size_t)i * GROUP);
      one->first[i] = is_real ? tables->start_bin + place : 0u;
      place += rising;
    }
    to += (size_t)one->blocks * GROUP * GROUP;
  }
}

static void make_plan(const mltk_fe_tables *tables, void *memory) {
  uint8_t *next = memory;
  plan_data *const plan = take(&next, sizeof(plan_data));
  const int16_t *const lut = tables->pcan.gain_lut;
  uint32_t i, k;
  plan->window = take(&next, padded_samples(tables) * sizeof(int16_t));
  plan->twiddles = take(&next, n_twiddles(tables) * sizeof(turn_factors));
  plan->split = take(&next, tables->fft.half / 2 * sizeof(turn_factors));
  plan->weights = take(&next, n_bins(tables) * sizeof(bin_weights));
  plan->late_twiddles.for_re = take(&next, n_late_twiddles(tables) * sizeof(uint32_t));
  plan->late_twiddles.for_im = take(&next, n_late_twiddles(tables) * sizeof(uint32_t));
  plan->split_rows.for_re = take(&next, n_split_rows(tables) * sizeof(uint32_t));
  plan->split_rows.for_im = take(&next, n_split_rows(tables) * sizeof(uint32_t));
  plan->groups = take(&next, n_groups(tables) * sizeof(channel_group));
  plan->group_weights = take(&next, n_blocks(tables) * GROUP * sizeof(vec));
  for (i = 0; i < padded_samples(tables); ++i) {
    plan->window[i] = i < tables->window.size ? tables->window.coefficients[i] : (int16_t)0;
  }
  fill_turns(tables->fft.twiddles, n_twiddles(tables), plan->twiddles);
  fill_turns(tables->fft.split, tables->fft.half / 2, plan->split);
  for (i = 0; i < n_bins(tables); ++i) {
    plan->weights[i].upper = (uint32_t)tables->filterbank.weights[i].upper;
    plan->weights[i].lower = (uint32_t)tables->filterbank.weights[i].lower;
  }
  plan->runs_alone = runs_alone(tables);
  if (plan->runs_alone) {
    const uint32_t early = n_twiddles(tables) - n_late_twiddles(tables);
    fill_rows(tables->fft.twiddles + early, n_late_twiddles(tables), plan->late_twiddles);
    fill_split(tables->fft.split, n_split_rows(tables), plan->split_rows);
    fill_groups(&tables->filterbank, plan, n_groups(tables));
  }
  for (k = 0; k < 3; ++k) {
    for (i = 0; i < 64; ++i) {
      plan->parabolas[k][i] = i >= 2 && i <= 32 ? lut[4 * i - 6 + k] : (int16_t)0;
    }
  }
  for (i = 0; i < MLTK_FE_LOG_SEGMENTS; ++i) {
    plan->segments[i] = (uint32_t)tables->log.segments[i + 1] << 16 | tables->log.segments[i];
  }
  plan->parabolas[0][0] = lut[0];
  plan->parabolas[0][1] = lut[1];
}

static size_t scratch_bytes(const mltk_fe_tables *tables) {
  const size_t channels = padded_channels(tables);
  return BYTES(sizeof(scratch_data)) + BYTES(padded_samples(tables) * LANES * sizeof(int16_t)) +
         BYTES(WHOLE(tables->fft.half, (uint32_t)LANES) * sizeof(vec)) + BYTES((tables->fft.half + 1) * sizeof(vec)) +
         2 * BYTES(channels * sizeof(vec)) + BYTES(channels * sizeof(uint32_t)) +
         BYTES(WHOLE(2 * tables->fft.half, 2u * LANES) * sizeof(int16_t)) +
         2 * BYTES(WHOLE(tables->fft.half, (uint32_t)LANES) * sizeof(uint32_t)) +
         BYTES(padded_energies(tables) * sizeof(double));
}

static void make_scratch(const mltk_fe_tables *tables, void *memory) {
  const size_t channels = padded_channels(tables);
  const size_t points = WHOLE(tables->fft.half, (uint32_t)LANES);
  const size_t bytes = scratch_bytes(tables);
  uint8_t *next = memory;
  scratch_data *scratch;
  size_t i;
  for (i = 0; i < bytes; ++i) {
    next[i] = 0;
  }
  scratch = take(&next, sizeof(scratch_data));
  scratch->rows = take(&next, padded_samples(tables) * LANES * sizeof(int16_t));
  scratch->pairs = take(&next, points * sizeof(vec));
  scratch->points = take(&next, (tables->fft.half + 1) * sizeof(vec));
  scratch->signal = take(&next, channels * sizeof(vec));
  scratch->window = take(&next, channels * sizeof(vec));
  scratch->noise = take(&next, channels * sizeof(uint32_t));
  scratch->samples = take(&next, WHOLE(2 * tables->fft.half, 2u * LANES) * sizeof(int16_t));
  scratch->ping = take(&next, points * sizeof(uint32_t));
  scratch->pong = take(&next, points * sizeof(uint32_t));
  scratch->energy = take(&next, padded_energies(tables) * sizeof(double));
}

#endif
