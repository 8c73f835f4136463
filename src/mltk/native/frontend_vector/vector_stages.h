/* The frontend's stages with a window in each lane, and across the channels of one window where they have memory. Every
 * value and every rounding is that of ../frontend: what is written there is not repeated here.
 */
#ifndef MLTK_FE_VECTOR_STAGES_H
#define MLTK_FE_VECTOR_STAGES_H

#include "vector_plan.h"

/* ---- window ---- */

/* (sample * coefficient) >> 12, as 16 bits of the 32-bit product. */
static inline vec multiply_window(vec samples, vec coefficients) {
  return or_(shl_16(mul_high_16(samples, coefficients), 16 - MLTK_FE_WINDOW_BITS),
             shr_16(mul_low_16(samples, coefficients), MLTK_FE_WINDOW_BITS));
}

/* Window one lane into its row; returns by how many bits it can be shifted up. */
static uint32_t window_row(const plan_data *plan, uint32_t size, const int16_t *samples, int16_t *row) {
  const uint32_t whole = size / (2 * LANES) * (2 * LANES);
  vec magnitudes = zero();
  uint32_t i, bits;
  for (i = 0; i < whole; i += 2 * LANES) {
    const vec windowed = multiply_window(load_any(samples + i), load(plan->window + i));
    store(row + i, windowed);
    magnitudes = or_(magnitudes, abs_16(windowed));
  }
  if (whole != size) {
    /* Not a sample behind the window is read: there may be none. */
    for (i = whole; i < size; ++i) {
      row[i] = samples[i];
    }
    for (; i < whole + 2 * LANES; ++i) {
      row[i] = 0;
    }
    {
      const vec windowed = multiply_window(load(row + whole), load(plan->window + whole));
      store(row + whole, windowed);
      magnitudes = or_(magnitudes, abs_16(windowed));
    }
  }
  bits = or_of_all(magnitudes);
  return 15u - mltk_fe_bit_length((bits | bits >> 16) & 0x7FFFu);
}

static void window_lanes(const mltk_fe_tables *tables, const plan_data *plan, const scratch_data *scratch,
                         const int16_t *const samples[LANES], uint32_t shift[LANES]) {
  const uint32_t padded = padded_samples(tables);
  uint32_t lane, pair;
  for (lane = 0; lane < LANES; ++lane) {
    shift[lane] = window_row(plan, tables->window.size, samples[lane], scratch->rows + (size_t)lane * padded);
  }
  for (pair = 0; pair < padded / 2; pair += LANES) {
    transpose((const uint32_t *)(const void *)scratch->rows + pair, padded / 2, scratch->pairs + (size_t)pair * LANES,
              LANES, shift);
  }
}

/* ---- FFT ---- */

/* Both halves of two products in Q15, rounded. */
static inline vec turn(vec z, const turn_factors *w) {
  const vec half = all_32(1u << 14);
  const vec re = add_32(mul_pairs(z, all_32(w->for_re)), half);
  const vec im = add_32(mul_pairs(z, all_32(w->for_im)), half);
  return merge_16(shr_32(re, 15), shl_32(im, 1));
}

static inline void combine_4(uint32_t *p, size_t m, vec z0, vec z1, vec z2, vec z3) {
  const vec sum_13 = add_16(z1, z3), sum_02 = add_16(z0, z2), difference_02 = sub_16(z0, z2);
  const vec turned = negate_low_16(swap_16(sub_16(z1, z3))); /* times j */
  store(p, add_16(sum_02, sum_13));
  store(p + m, sub_16(difference_02, turned));
  store(p + 2 * m, sub_16(sum_02, sum_13));
  store(p + 3 * m, add_16(difference_02, turned));
}

static void first_stage(const mltk_fe_fft_tables *fft, const uint32_t *pairs, uint32_t *points) {
  const uint32_t radix = fft->first_radix, part = fft->half / radix;
  const vec factor = all_16(32767 / (int)radix);
  const size_t apart = (size_t)part * LANES;
  uint32_t group;
  for (group = 0; group < part; ++group) {
    const uint32_t *const from = pairs + (size_t)fft->order[group] * LANES;
    uint32_t *const to = points + (size_t)group * radix * LANES;
    const vec z0 = mul_q15(load(from), factor), z1 = mul_q15(load(from + apart), factor);
    if (radix == 4) {
      const vec z2 = mul_q15(load(from + 2 * apart), factor), z3 = mul_q15(load(from + 3 * apart), factor);
      combine_4(to, LANES, z0, z1, z2, z3);
    } else {
      store(to, add_16(z0, z1));
      store(to + LANES, sub_16(z0, z1));
    }
  }
}

static void stage_4(uint32_t half, uint32_t m, const turn_factors *twiddles, uint32_t *points) {
  const vec factor = all_16(32767 / 4);
  const size_t apart = (size_t)m * LANES;
  uint32_t group, k;
  for (group = 0; group < half; group += 4 * m) {
    uint32_t *p = points + (size_t)group * LANES;
    combine_4(p, apart, mul_q15(load(p), factor), mul_q15(load(p + apart), factor),
              mul_q15(load(p + 2 * apart), factor), mul_q15(load(p + 3 * apart), factor));
    for (k = 1; k < m; ++k) {
      p += LANES;
      combine_4(p, apart, mul_q15(load(p), factor), turn(mul_q15(load(p + apart), factor), twiddles + k),
                turn(mul_q15(load(p + 2 * apart), factor), twiddles + m + k),
                turn(mul_q15(load(p + 3 * apart), factor), twiddles + 2 * m + k));
    }
  }
}

/* (a + b) / 2 rounded down, (a - b) / 2 rounded down: without a 17th bit. */
static inline vec halve_sum(vec a, vec b) { return add_16(and_(a, b), sar_16(xor_(a, b), 1)); }
static inline vec halve_difference(vec a, vec b) { return sub_16(or_not(a, b), sar_16(xor_not(a, b), 1)); }

static void split(uint32_t half, const turn_factors *turns, uint32_t *points) {
  const vec factor = all_16(32767 / 2), low_16 = all_32(0xFFFFu);
  const vec first = mul_q15(load(points), factor);
  uint32_t k;
  store(points, and_(add_16(first, swap_16(first)), low_16));
  store(points + (size_t)half * LANES, and_(sub_16(first, swap_16(first)), low_16));
  for (k = 1; k <= half / 2; ++k) {
    uint32_t *const low = points + (size_t)k * LANES;
    uint32_t *const high = points + (size_t)(half - k) * LANES;
    const vec a = mul_q15(load(low), factor);
    const vec b = mul_q15(negate_high_16(load(high)), factor);
    const vec sum = add_16(a, b);
    const vec turned = turn(sub_16(a, b), turns + (k - 1));
    store(low, halve_sum(sum, turned));
    store(high, halve_difference(merge_16(sum, turned), merge_16(turned, sum)));
  }
}

static void fft_lanes(const mltk_fe_tables *tables, const plan_data *plan, const scratch_data *scratch) {
  const turn_factors *twiddles = plan->twiddles;
  uint32_t m;
  first_stage(&tables->fft, scratch->pairs, scratch->points);
  for (m = tables->fft.first_radix; m < tables->fft.half; m *= 4) {
    stage_4(tables->fft.half, m, twiddles, scratch->points);
    twiddles += 3 * m;
  }
  split(tables->fft.half, plan->split, scratch->points);
}

/* ---- energy, filterbank, square root ---- */

/* Rounded square roots of 64-bit lanes. */
static inline vec rounded_root(vec x) {
  vec root = root_estimate(x);
  vec left = sub_64(x, mul_even(root, root));
  const vec too_large = sign_64(left); /* -1 where the estimate is one too large */
  vec up;
  left = add_64(left, and_(add_64(root, root), too_large));
  left = add_64(left, too_large); /* (root - 1)^2 = root^2 - 2 root + 1 */
  root = add_64(root, too_large);
  up = sign_64(sub_64(root, left)); /* -1 where left > root */
  root = sub_64(root, up);
  /* Numbers below 2^32 never round up to 65536. */
  return sub_64(root, and_(shr_64(root, 16), shr_64(sign_64(sub_64(shr_64(x, 32), shr_64(all_32(1u), 32))), 63)));
}

static void filter_lanes(const mltk_fe_filterbank_tables *tables, const plan_data *plan, const scratch_data *scratch,
                         const uint32_t *shift) {
  const uint32_t *point = scratch->points + (size_t)tables->start_bin * LANES;
  const bin_weights *weights = plan->weights;
  const vec down = load_any(shift);
  vec even = zero(), odd = zero();
  uint32_t channel, i;
  for (channel = 0; channel <= tables->n_channels; ++channel) {
    vec next_even = zero(), next_odd = zero();
    for (i = tables->widths[channel]; i != 0; --i, ++weights, point += LANES) {
      const vec z = load(point);
      const vec energy = mul_pairs(z, z), energy_odd = shr_64(energy, 32);
      const vec upper = all_32(weights->upper), lower = all_32(weights->lower);
      even = add_64(even, mul_even(energy, upper));
      odd = add_64(odd, mul_even(energy_odd, upper));
      next_even = add_64(next_even, mul_even(energy, lower));
      next_odd = add_64(next_odd, mul_even(energy_odd, lower));
    }
    if (channel != 0) {
      store(scratch->signal + (size_t)(channel - 1) * LANES,
            shr_each(or_(rounded_root(even), shl_64(rounded_root(odd), 32)), down));
    }
    even = next_even;
    odd = next_odd;
  }
}

/* ---- noise reduction, PCAN, log: across channels ---- */

/* (a * b) >> bits of 32-bit lanes, through 64 bits; the lower 32. */
static inline vec multiply_down(vec a, vec b, uint32_t bits) {
  const vec even = shr_64_by(mul_even(a, b), bits);
  const vec odd = shr_64_by(mul_even(shr_64(a, 32), shr_64(b, 32)), bits);
  return merge_32(even, shl_64(odd, 32));
}

/* `smoothing` and `rest` (1 - smoothing) alternate between even and odd channels. */
static inline vec reduce_noise(const mltk_fe_noise_tables *tables, vec smoothing, vec rest, vec *estimate, vec value) {
  const vec scaled = shl_32_by(value, tables->smoothing_bits);
  const vec even = add_64(mul_even(scaled, smoothing), mul_even(*estimate, rest));
  const vec odd =
      add_64(mul_even(shr_64(scaled, 32), shr_64(smoothing, 32)), mul_even(shr_64(*estimate, 32), shr_64(rest, 32)));
  const vec noise = merge_32(shr_64(even, MLTK_FE_NOISE_BITS), shl_64(odd, 32 - MLTK_FE_NOISE_BITS));
  const vec least = multiply_down(value, all_32(tables->min_signal_remaining), MLTK_FE_NOISE_BITS);
  *estimate = noise;
  return max_32(shr_32_by(sub_32(max_32(scaled, noise), noise), tables->smoothing_bits), least);
}

static inline vec normalize(const mltk_fe_pcan_tables *tables, const plan_data *plan, vec noise, vec value) {
  const vec length = bit_length(noise), eleven = all_32(11);
  const vec fraction =
      and_(or_(shl_each(noise, sub_32(eleven, length)), shr_each(noise, sub_32(length, eleven))), all_32(0x3FFu));
  /* `fraction` has no upper half: mul_pairs takes only the lower one of the other factor. */
  const vec curve = sar_32(mul_pairs(look_up_16(plan->parabolas[2], length), fraction), 5);
  const vec slope = sar_32(shl_32(look_up_16(plan->parabolas[1], length), 16), 11);
  const vec rise = sar_32(add_32(mul_32(add_32(curve, slope), fraction), all_32(1u << 14)), 15);
  const vec gain = sar_32(shl_32(add_16(rise, look_up_16(plan->parabolas[0], length)), 16), 16);
  const vec snr = multiply_down(value, gain, tables->snr_shift);
  /* Where this counts, `snr` has no upper half. */
  const vec squared = shr_32(mul_pairs(snr, snr), 2 + 2 * MLTK_FE_PCAN_SNR_BITS - MLTK_FE_PCAN_OUTPUT_BITS);
  const vec linear =
      sub_32(shr_32(snr, MLTK_FE_PCAN_SNR_BITS - MLTK_FE_PCAN_OUTPUT_BITS), all_32(1u << MLTK_FE_PCAN_OUTPUT_BITS));
  return select_below(snr, all_32(2u << MLTK_FE_PCAN_SNR_BITS), squared, linear);
}

static inline vec logarithm(const mltk_fe_log_tables *tables, const plan_data *plan, vec value) {
  const vec half = all_32(1u << (MLTK_FE_LOG_SCALE_BITS - 1));
  const uint32_t up = tables->correction_bits > 0 ? (uint32_t)tables->correction_bits : 0u;
  const uint32_t down = tables->correction_bits < 0 ? (uint32_t)-tables->correction_bits : 0u;
  const vec x = shr_32_by(shl_32_by(value, up), down);
  const vec whole = sub_32(bit_length(x), all_32(1));
  /* The bits behind the highest one, in Q16: moved up to bit 31, then the highest one falls out. */
  const vec fraction = shr_32(shl_32(shl_each(x, sub_32(all_32(31), whole)), 1), 32 - MLTK_FE_LOG_SCALE_BITS);
  const vec segment = shr_32(fraction, MLTK_FE_LOG_SCALE_BITS - MLTK_FE_LOG_SEGMENT_BITS);
  const vec inside = and_(fraction, all_32((1u << (MLTK_FE_LOG_SCALE_BITS - MLTK_FE_LOG_SEGMENT_BITS)) - 1));
  const vec ends = look_up_128(plan->segments, segment);
  const vec from = and_(ends, all_32(0xFFFFu));
  const vec between = sar_32(mul_pairs(sub_16(shr_32(ends, 16), from), inside), MLTK_FE_LOG_SCALE_BITS);
  const vec log2 = add_32(add_32(fraction, from), between);
  /* Times ln(2), an even number: `log2`, at most a little above 1, fits 32 bits; the whole part is exact. */
  const vec exact = shl_32(mul_pairs(whole, all_32(MLTK_FE_LOG_LN2 / 2)), 1);
  const vec rest = shr_32(add_32(mul_32(log2, all_32(MLTK_FE_LOG_LN2)), half), MLTK_FE_LOG_SCALE_BITS);
  const vec natural = add_32(exact, rest);
  const vec scaled = shr_32(add_32(shl_32_by(natural, tables->scale_shift), half), MLTK_FE_LOG_SCALE_BITS);
  return select_below(x, all_32(2), zero(), scaled);
}

/* The windows' rows from `signal` on; bit `lane` of `fresh` says that a clip begins with this window. */
static void finish_rows(const mltk_fe_tables *tables, const plan_data *plan, const scratch_data *scratch,
                        uint32_t fresh, uint32_t n, uint16_t *features) {
  const uint32_t channels = tables->filterbank.n_channels, padded = padded_channels(tables);
  const mltk_fe_noise_tables *const noise = &tables->noise;
  const uint32_t one = 1u << MLTK_FE_NOISE_BITS;
  const vec smoothing = merge_32(all_32(noise->smoothing[0]), all_32(noise->smoothing[1]));
  const vec rest = sub_32(all_32(one), smoothing);
  uint32_t channel, lane;
  for (channel = 0; channel < channels; channel += LANES) {
    const uint32_t width = channels - channel < LANES ? channels - channel : LANES;
    vec estimate = load(scratch->noise + channel);
    for (lane = 0; lane < n; ++lane) {
      vec value = load(scratch->window + (size_t)lane * padded + channel);
      estimate = (fresh >> lane & 1u) != 0 ? zero() : estimate;
      if (noise->enable != 0) {
        value = reduce_noise(noise, smoothing, rest, &estimate, value);
      }
      if (tables->pcan.enable != 0) {
        value = normalize(&tables->pcan, plan, estimate, value);
      }
      if (tables->log.enable != 0) {
        value = logarithm(&tables->log, plan, value);
      }
      store_16(features + (size_t)lane * channels + channel, min_32(value, all_32(0xFFFFu)), width);
    }
    store(scratch->noise + channel, estimate);
  }
}

#endif
