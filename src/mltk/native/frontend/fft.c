/* Real FFT in 16-bit fixed point: a complex FFT of half the length over the sample pairs, then a split.
 *
 * Radix 4, decimation in time; where the length asks for it, radix 2 first. Each butterfly divides its inputs by its
 * radix (as a rounded multiplication with 32767 / radix), so the result is scaled by 1 / length. The order of the
 * stages and every rounding are those of the 16-bit kissfft inside TensorFlow's op.
 */
#include "mltk_fe_fft_point.h"

/* The butterfly of four points that are already scaled and turned. */
static inline void combine_4(mltk_fe_complex *p, uint32_t m, int lane, const fft_point z[4]) {
  const fft_point sum_13 = add_points(z[1], z[3]), difference_13 = subtract_points(z[1], z[3]);
  const fft_point sum_02 = add_points(z[0], z[2]), difference_02 = subtract_points(z[0], z[2]);
  store_point(p, lane, add_points(sum_02, sum_13));
  store_point(p + m, lane, subtract_turned(difference_02, difference_13));
  store_point(p + 2 * m, lane, subtract_points(sum_02, sum_13));
  store_point(p + 3 * m, lane, add_turned(difference_02, difference_13));
}

/* First stage, all twiddles 1: read sample pairs in digit-reversed order. */
static void first_stage_4(const mltk_fe_fft_tables *tables, const int16_t *MLTK_FE_RESTRICT windowed,
                          const uint32_t *shift, mltk_fe_complex *MLTK_FE_RESTRICT z) {
  const uint32_t quarter = tables->half / 4;
  const fft_constants c = constants_of(4);
  uint32_t group, i;
  int lane;
  for (group = 0; group < quarter; ++group) {
    const uint32_t first = tables->order[group];
    for (lane = 0; lane < MLTK_FE_LANES; ++lane) {
      fft_point four[4];
      for (i = 0; i < 4; ++i) {
        four[i] = scale_point(read_samples(windowed, 2 * (first + i * quarter), shift[lane], lane), c);
      }
      combine_4(z + 4 * group, 1, lane, four);
    }
  }
}

static void first_stage_2(const mltk_fe_fft_tables *tables, const int16_t *MLTK_FE_RESTRICT windowed,
                          const uint32_t *shift, mltk_fe_complex *MLTK_FE_RESTRICT z) {
  const uint32_t half = tables->half / 2;
  const fft_constants c = constants_of(2);
  uint32_t group;
  int lane;
  for (group = 0; group < half; ++group) {
    const uint32_t first = 2 * (uint32_t)tables->order[group];
    for (lane = 0; lane < MLTK_FE_LANES; ++lane) {
      const fft_point a = scale_point(read_samples(windowed, first, shift[lane], lane), c);
      const fft_point b = scale_point(read_samples(windowed, first + 2 * half, shift[lane], lane), c);
      store_point(z + 2 * group, lane, add_points(a, b));
      store_point(z + 2 * group + 1, lane, subtract_points(a, b));
    }
  }
}

/* The first butterfly of a group: its twiddles are 1, and a multiplication with their 32767 rounds to nothing. */
static inline void butterfly_4_plain(mltk_fe_complex *p, uint32_t m, fft_constants c) {
  uint32_t i;
  int lane;
  for (lane = 0; lane < MLTK_FE_LANES; ++lane) {
    fft_point four[4];
    for (i = 0; i < 4; ++i) {
      four[i] = scale_point(load_point(p + i * m, lane), c);
    }
    combine_4(p, m, lane, four);
  }
}

static inline void butterfly_4(mltk_fe_complex *p, uint32_t m, const mltk_fe_twiddle *twiddles, fft_constants c) {
  uint32_t i;
  int lane;
  for (lane = 0; lane < MLTK_FE_LANES; ++lane) {
    fft_point four[4];
    four[0] = scale_point(load_point(p, lane), c);
    for (i = 1; i < 4; ++i) {
      four[i] = turn_point(scale_point(load_point(p + i * m, lane), c), twiddles + (i - 1) * m, c);
    }
    combine_4(p, m, lane, four);
  }
}

/* One radix-4 stage: butterflies over points that lie m apart. */
static MLTK_FE_ALWAYS_INLINE void stage_4(uint32_t half, uint32_t m, const mltk_fe_twiddle *MLTK_FE_RESTRICT twiddles,
                                          mltk_fe_complex *MLTK_FE_RESTRICT z) {
  const fft_constants c = constants_of(4);
  mltk_fe_complex *const end = z + half;
  while (z < end) {
    mltk_fe_complex *const group_end = z + m;
    const mltk_fe_twiddle *w = twiddles;
    butterfly_4_plain(z, m, c);
    for (++z, ++w; z < group_end; ++z, ++w) {
      KEEP_POINTERS(z, w);
      butterfly_4(z, m, w, c);
    }
    z += 3 * m;
  }
}

/* From the FFT of the sample pairs to the spectrum of the samples, in place. */
static void split(uint32_t half, const mltk_fe_twiddle *MLTK_FE_RESTRICT turns, mltk_fe_complex *MLTK_FE_RESTRICT z) {
  const fft_constants c = constants_of(2);
  uint32_t k;
  int lane;
  for (lane = 0; lane < MLTK_FE_LANES; ++lane) {
    const int32_t re = (z[0].re[lane] * c.factor + c.half) >> 15;
    const int32_t im = (z[0].im[lane] * c.factor + c.half) >> 15;
    z[0].re[lane] = (int16_t)(re + im);
    z[half].re[lane] = (int16_t)(re - im);
    z[0].im[lane] = 0;
    z[half].im[lane] = 0;
  }
  for (k = 1; k <= half / 2; ++k) {
    mltk_fe_complex *const low = z + k;
    mltk_fe_complex *const high = z + (half - k);
    for (lane = 0; lane < MLTK_FE_LANES; ++lane) {
      const fft_point a = scale_point(load_point(low, lane), c);
      const fft_point b = scale_point(conjugate(load_point(high, lane)), c);
      const fft_point sum = add_points(a, b);
      const fft_point turned = turn_point(subtract_points(a, b), turns + (k - 1), c);
      store_point(low, lane, half_sum(sum, turned));
      store_point(high, lane, half_difference_conjugate(sum, turned));
    }
  }
}

void mltk_fe_fft(const mltk_fe_fft_tables *tables, const int16_t *windowed, const uint32_t shift[MLTK_FE_LANES],
                 mltk_fe_complex *spectrum) {
  const mltk_fe_twiddle *twiddles = tables->twiddles;
  uint32_t m;
  if (tables->first_radix == 4) {
    first_stage_4(tables, windowed, shift, spectrum);
  } else {
    first_stage_2(tables, windowed, shift, spectrum);
  }
  for (m = tables->first_radix; m < tables->half; m *= 4) {
    /* The widths of a 512-point FFT as constants: on a chip, offsets that instructions hold. */
    if (m == 4) {
      stage_4(tables->half, 4, twiddles, spectrum);
    } else if (m == 16) {
      stage_4(tables->half, 16, twiddles, spectrum);
    } else if (m == 64) {
      stage_4(tables->half, 64, twiddles, spectrum);
    } else {
      stage_4(tables->half, m, twiddles, spectrum);
    }
    twiddles += 3 * m;
  }
  split(tables->half, tables->split, spectrum);
}
