/* One window alone, for streams: vectors hold neighbouring points of it instead of a point of many windows.
 *
 * The FFT's butterflies are those of ../frontend/fft.c, ordered so that no point moves inside a vector but once
 * (Stockham's order): while a stage joins points that lie at least a vector apart in time, lanes are neighbours in
 * time; then 16 transforms of half / 16 points are left, one transposition makes lanes neighbours in frequency, and two
 * more stages join the 16.
 */
#ifndef MLTK_FE_VECTOR_ALONE_H
#define MLTK_FE_VECTOR_ALONE_H

#include "mltk_fe_fft_point.h"
#include "vector_stages.h"

static MLTK_FE_ALWAYS_INLINE void first_stage_alone(uint32_t half, uint32_t radix, uint32_t shift, const uint32_t *from,
                                                    uint32_t *to) {
  const vec factor = all_16(32767 / (int)radix);
  const size_t part = half / radix;
  size_t i;
  for (i = 0; i < part; i += LANES) {
    const vec z0 = mul_q15(up_16(load(from + i), shift), factor);
    const vec z1 = mul_q15(up_16(load(from + part + i), shift), factor);
    if (radix == 4) {
      combine_4(to + i, part, z0, z1, mul_q15(up_16(load(from + 2 * part + i), shift), factor),
                mul_q15(up_16(load(from + 3 * part + i), shift), factor));
    } else {
      store(to + i, add_16(z0, z1));
      store(to + part + i, sub_16(z0, z1));
    }
  }
}

/* From m transforms' points [frequency][time] to 4 m: lanes are neighbours in time. */
static MLTK_FE_ALWAYS_INLINE void early_stage(uint32_t half, uint32_t m, const turn_factors *twiddles,
                                              const uint32_t *from, uint32_t *to) {
  const vec factor = all_16(32767 / 4);
  const size_t apart = half / (4 * m);
  size_t k, i;
  for (i = 0; i < apart; i += LANES) {
    combine_4(to + i, half / 4, mul_q15(load(from + i), factor), mul_q15(load(from + apart + i), factor),
              mul_q15(load(from + 2 * apart + i), factor), mul_q15(load(from + 3 * apart + i), factor));
  }
  for (k = 1; k < m; ++k) {
    const uint32_t *const p = from + 4 * apart * k;
    for (i = 0; i < apart; i += LANES) {
      combine_4(to + apart * k + i, half / 4, mul_q15(load(p + i), factor),
                turn(mul_q15(load(p + apart + i), factor), twiddles + k),
                turn(mul_q15(load(p + 2 * apart + i), factor), twiddles + m + k),
                turn(mul_q15(load(p + 3 * apart + i), factor), twiddles + 2 * m + k));
    }
  }
}

/* Both halves of two products in Q15, rounded, each lane by its own factors. */
static inline vec turn_each(vec z, turn_rows by, size_t place) {
  const vec half = all_32(1u << 14);
  const vec re = add_32(mul_pairs(z, load(by.for_re + place)), half);
  const vec im = add_32(mul_pairs(z, load(by.for_im + place)), half);
  return merge_16(shr_32(re, 15), shl_32(im, 1));
}

/* A butterfly of points that lie `apart`, with the twiddles of frequency `k` of m and its neighbours. */
static inline void late_butterfly(const uint32_t *from, size_t apart, turn_rows twiddles, size_t m, size_t k,
                                  uint32_t *to, size_t to_apart) {
  const vec factor = all_16(32767 / 4);
  combine_4(to, to_apart, mul_q15(load(from), factor), turn_each(mul_q15(load(from + apart), factor), twiddles, k),
            turn_each(mul_q15(load(from + 2 * apart), factor), twiddles, m + k),
            turn_each(mul_q15(load(from + 3 * apart), factor), twiddles, 2 * m + k));
}

/* The last two stages: lanes are neighbours in frequency. `points` is [16 times][half / 16 frequencies]. */
static MLTK_FE_ALWAYS_INLINE void late_stages(uint32_t half, turn_rows twiddles, uint32_t *points, uint32_t *to) {
  const size_t m = half / 16;
  turn_rows last;
  size_t i, k;
  for (i = 0; i < 4; ++i) {
    for (k = 0; k < m; k += LANES) {
      uint32_t *const p = points + m * i + k;
      late_butterfly(p, 4 * m, twiddles, m, k, p, 4 * m);
    }
  }
  last.for_re = twiddles.for_re + 3 * m;
  last.for_im = twiddles.for_im + 3 * m;
  for (i = 0; i < 4; ++i) {
    for (k = 0; k < m; k += LANES) {
      late_butterfly(points + 4 * m * i + k, m, last, 4 * m, m * i + k, to + m * i + k, 4 * m);
    }
  }
}

/* The energy of the bin in the middle, which is its own mirror, as fft.c computes it. */
static inline double middle_energy(uint32_t value, const mltk_fe_twiddle *turn_by) {
  const fft_constants c = constants_of(2);
  const fft_point z = point((int16_t)(value & 0xFFFFu), (int16_t)(value >> 16));
  const fft_point a = scale_point(z, c), b = scale_point(conjugate(z), c);
  const fft_point turned = turn_point(subtract_points(a, b), turn_by, c);
  const fft_point bin = half_difference_conjugate(add_points(a, b), turned);
  return (double)((int16_t)bin.re * (int16_t)bin.re) + (double)((int16_t)bin.im * (int16_t)bin.im);
}

static inline double last_energy(uint32_t value) {
  const fft_point z = scale_point(point((int16_t)(value & 0xFFFFu), (int16_t)(value >> 16)), constants_of(2));
  const int16_t re = (int16_t)(z.re - z.im);
  return (double)(re * re);
}

/* From the FFT of the sample pairs to the energies of the bins from 1 on; what is written as bin 0 is not its energy.
 */
static MLTK_FE_ALWAYS_INLINE void split_alone(uint32_t half, const mltk_fe_twiddle *turns, turn_rows rows,
                                              const uint32_t *points, double *energy) {
  const vec factor = all_16(32767 / 2);
  vec above = load(points); /* for the mirror of bin 0, which is no bin */
  uint32_t k;
  for (k = 0; k < half / 2; k += LANES) {
    const vec below = load(points + half - k - LANES);
    const vec a = mul_q15(load(points + k), factor);
    const vec b = mul_q15(negate_high_16(mirror(below, above)), factor);
    const vec sum = add_16(a, b);
    const vec turned = turn_each(sub_16(a, b), rows, k);
    const vec low = halve_sum(sum, turned);
    const vec high = halve_difference(merge_16(sum, turned), merge_16(turned, sum));
    store_doubles(energy + k, mul_pairs(low, low));
    store_doubles(energy + half - k - (LANES - 1), reverse(mul_pairs(high, high)));
    above = below;
  }
  energy[half / 2] = middle_energy(points[half / 2], turns + half / 2 - 1);
  energy[half] = last_energy(points[0]);
}

static MLTK_FE_ALWAYS_INLINE void fft_of(uint32_t half, uint32_t first_radix, const mltk_fe_twiddle *turns,
                                         const plan_data *plan, const scratch_data *scratch, uint32_t shift) {
  const uint32_t rows = half / 16;
  const turn_factors *twiddles = plan->twiddles;
  uint32_t *from = scratch->ping, *to = scratch->pong, *swapped;
  uint32_t m, i, k;
  first_stage_alone(half, first_radix, shift, (const uint32_t *)(const void *)scratch->samples, from);
  for (m = first_radix; m < rows; m *= 4) {
    early_stage(half, m, twiddles, from, to);
    twiddles += 3 * m;
    swapped = from;
    from = to;
    to = swapped;
  }
  for (k = 0; k < rows; k += LANES) {
    for (i = 0; i < 16; i += LANES) {
      transpose(from + (size_t)k * 16 + i, 16, to + (size_t)i * rows + k, rows, NULL);
    }
  }
  late_stages(half, plan->late_twiddles, to, from);
  split_alone(half, turns, plan->split_rows, from, scratch->energy);
}

static void fft_alone(const mltk_fe_fft_tables *fft, const plan_data *plan, const scratch_data *scratch,
                      uint32_t shift) {
  /* The usual lengths, 512 and 256 points, unrolled. */
  if (fft->half == 256) {
    fft_of(256, 4, fft->split, plan, scratch, shift);
  } else if (fft->half == 128) {
    fft_of(128, 2, fft->split, plan, scratch, shift);
  } else {
    fft_of(fft->half, fft->first_radix, fft->split, plan, scratch, shift);
  }
}

/* The weighted energies of a group's channels; `blocks` is a constant where this is called. */
static MLTK_FE_ALWAYS_INLINE doubles weigh(const channel_group *group, uint32_t blocks, const double *energy,
                                           const double *weights) {
  doubles sums[GROUP];
  uint32_t i, block;
  for (i = 0; i < GROUP; ++i) {
    const double *const bins = energy + group->first[i];
    sums[i] = multiply_doubles(bins, weights + (size_t)i * GROUP);
    for (block = 1; block < blocks; ++block) {
      sums[i] = add_product(sums[i], bins + (size_t)block * GROUP, weights + ((size_t)block * GROUP + i) * GROUP);
    }
  }
  return sum_each(sums);
}

/* The usual widths unrolled; none where a band is narrower than a bin, or behind the last channel. */
static inline doubles weigh_group(const channel_group *group, const double *energy, const double **weights) {
  const double *const own = *weights;
  *weights += (size_t)group->blocks * GROUP * GROUP;
  switch (group->blocks) {
    case 0:
      return no_doubles();
    case 1:
      return weigh(group, 1, energy, own);
    case 2:
      return weigh(group, 2, energy, own);
    case 3:
      return weigh(group, 3, energy, own);
    case 4:
      return weigh(group, 4, energy, own);
    default:
      return weigh(group, group->blocks, energy, own);
  }
}

static void filter_alone(const mltk_fe_tables *tables, const plan_data *plan, const scratch_data *scratch,
                         uint32_t shift) {
  const double *weights = plan->group_weights;
  const channel_group *group = plan->groups;
  uint32_t channel;
  for (channel = 0; channel < padded_channels(tables); channel += LANES, group += 2) {
    const doubles low = weigh_group(group, scratch->energy, &weights);
    const doubles high = weigh_group(group + 1, scratch->energy, &weights);
    store(scratch->window + channel, shr_32_by(rounded_roots(low, high), shift));
  }
}

/* The channels' amplitudes of one window, in the first row of `scratch->window`. */
static void amplitudes_alone(const mltk_fe_tables *tables, const plan_data *plan, const scratch_data *scratch,
                             const int16_t *samples) {
  const uint32_t shift = window_row(plan, tables->window.size, samples, scratch->samples);
  fft_alone(&tables->fft, plan, scratch, shift);
  filter_alone(tables, plan, scratch, shift);
}

#endif
