/* Real FFT in 16-bit fixed point: a complex FFT of half the length over the sample pairs, then a split.
 *
 * Radix 4, decimation in time; where the length asks for it, radix 2 first. Each butterfly divides its inputs by its
 * radix (as a rounded multiplication with 32767 / radix), so the result is scaled by 1 / length. The order of the
 * stages and every rounding are those of the 16-bit kissfft inside TensorFlow's op.
 */
#include "mltk_fe_stages.h"

#define DIVIDE_BY_2 (32767 / 2)
#define DIVIDE_BY_4 (32767 / 4)

static inline int16_t round_q15(int32_t x) { return (int16_t)((x + (1 << 14)) >> 15); }

static inline int32_t scale(int32_t x, int32_t factor) { return (x * factor + (1 << 14)) >> 15; }

/* The butterfly of four points that are already scaled and turned. */
static inline void combine_4(mltk_fe_complex *p, uint32_t m, int lane, const int32_t re[4], const int32_t im[4]) {
  const int32_t sum_02_re = re[0] + re[2], sum_02_im = im[0] + im[2];
  const int32_t diff_02_re = re[0] - re[2], diff_02_im = im[0] - im[2];
  const int32_t sum_13_re = re[1] + re[3], sum_13_im = im[1] + im[3];
  const int32_t diff_13_re = re[1] - re[3], diff_13_im = im[1] - im[3];
  p[0].re[lane] = (int16_t)(sum_02_re + sum_13_re);
  p[0].im[lane] = (int16_t)(sum_02_im + sum_13_im);
  p[m].re[lane] = (int16_t)(diff_02_re + diff_13_im);
  p[m].im[lane] = (int16_t)(diff_02_im - diff_13_re);
  p[2 * m].re[lane] = (int16_t)(sum_02_re - sum_13_re);
  p[2 * m].im[lane] = (int16_t)(sum_02_im - sum_13_im);
  p[3 * m].re[lane] = (int16_t)(diff_02_re - diff_13_im);
  p[3 * m].im[lane] = (int16_t)(diff_02_im + diff_13_re);
}

static inline int32_t load(const int16_t *windowed, uint32_t index, uint32_t shift, int lane) {
  /* Shifted as unsigned: the sign bit may be shifted out only where the window's -32768 hid its magnitude. */
  return (int16_t)(uint16_t)((uint32_t)(uint16_t)windowed[index * MLTK_FE_LANES + (uint32_t)lane] << shift);
}

/* First stage, all twiddles 1: read sample pairs in digit-reversed order. */
static void first_stage_4(const mltk_fe_fft_tables *tables, const int16_t *MLTK_FE_RESTRICT windowed,
                          const uint32_t *shift, mltk_fe_complex *MLTK_FE_RESTRICT z) {
  const uint32_t quarter = tables->half / 4;
  uint32_t group, i;
  int lane;
  for (group = 0; group < quarter; ++group) {
    const uint32_t first = tables->order[group];
    for (lane = 0; lane < MLTK_FE_LANES; ++lane) {
      int32_t re[4], im[4];
      for (i = 0; i < 4; ++i) {
        const uint32_t pair = 2 * (first + i * quarter);
        re[i] = scale(load(windowed, pair, shift[lane], lane), DIVIDE_BY_4);
        im[i] = scale(load(windowed, pair + 1, shift[lane], lane), DIVIDE_BY_4);
      }
      combine_4(z + 4 * group, 1, lane, re, im);
    }
  }
}

static void first_stage_2(const mltk_fe_fft_tables *tables, const int16_t *MLTK_FE_RESTRICT windowed,
                          const uint32_t *shift, mltk_fe_complex *MLTK_FE_RESTRICT z) {
  const uint32_t half = tables->half / 2;
  uint32_t group;
  int lane;
  for (group = 0; group < half; ++group) {
    const uint32_t first = 2 * (uint32_t)tables->order[group];
    for (lane = 0; lane < MLTK_FE_LANES; ++lane) {
      const int32_t re_0 = scale(load(windowed, first, shift[lane], lane), DIVIDE_BY_2);
      const int32_t im_0 = scale(load(windowed, first + 1, shift[lane], lane), DIVIDE_BY_2);
      const int32_t re_1 = scale(load(windowed, first + 2 * half, shift[lane], lane), DIVIDE_BY_2);
      const int32_t im_1 = scale(load(windowed, first + 2 * half + 1, shift[lane], lane), DIVIDE_BY_2);
      z[2 * group].re[lane] = (int16_t)(re_0 + re_1);
      z[2 * group].im[lane] = (int16_t)(im_0 + im_1);
      z[2 * group + 1].re[lane] = (int16_t)(re_0 - re_1);
      z[2 * group + 1].im[lane] = (int16_t)(im_0 - im_1);
    }
  }
}

/* The first butterfly of a group: its twiddles are 1, and a multiplication with their 32767 rounds to nothing. */
static inline void butterfly_4_plain(mltk_fe_complex *p, uint32_t m) {
  int lane;
  for (lane = 0; lane < MLTK_FE_LANES; ++lane) {
    int32_t re[4], im[4];
    uint32_t i;
    for (i = 0; i < 4; ++i) {
      re[i] = scale(p[i * m].re[lane], DIVIDE_BY_4);
      im[i] = scale(p[i * m].im[lane], DIVIDE_BY_4);
    }
    combine_4(p, m, lane, re, im);
  }
}

static inline void butterfly_4(mltk_fe_complex *p, uint32_t m, const mltk_fe_twiddle *twiddles) {
  int lane;
  for (lane = 0; lane < MLTK_FE_LANES; ++lane) {
    int32_t re[4], im[4];
    uint32_t i;
    re[0] = scale(p[0].re[lane], DIVIDE_BY_4);
    im[0] = scale(p[0].im[lane], DIVIDE_BY_4);
    for (i = 1; i < 4; ++i) {
      const mltk_fe_twiddle w = twiddles[(i - 1) * m];
      const int32_t x = scale(p[i * m].re[lane], DIVIDE_BY_4);
      const int32_t y = scale(p[i * m].im[lane], DIVIDE_BY_4);
      re[i] = (x * w.re - y * w.im + (1 << 14)) >> 15;
      im[i] = (x * w.im + y * w.re + (1 << 14)) >> 15;
    }
    combine_4(p, m, lane, re, im);
  }
}

/* One radix-4 stage: butterflies over points that lie m apart. */
static void stage_4(uint32_t half, uint32_t m, const mltk_fe_twiddle *MLTK_FE_RESTRICT twiddles,
                    mltk_fe_complex *MLTK_FE_RESTRICT z) {
  uint32_t group, k;
  for (group = 0; group < half; group += 4 * m) {
    mltk_fe_complex *const p = z + group;
    butterfly_4_plain(p, m);
    for (k = 1; k < m; ++k) {
      butterfly_4(p + k, m, twiddles + k);
    }
  }
}

/* From the FFT of the sample pairs to the spectrum of the samples, in place. */
static void split(uint32_t half, const mltk_fe_twiddle *MLTK_FE_RESTRICT turns, mltk_fe_complex *MLTK_FE_RESTRICT z) {
  uint32_t k;
  int lane;
  for (lane = 0; lane < MLTK_FE_LANES; ++lane) {
    const int32_t re = scale(z[0].re[lane], DIVIDE_BY_2);
    const int32_t im = scale(z[0].im[lane], DIVIDE_BY_2);
    z[0].re[lane] = (int16_t)(re + im);
    z[half].re[lane] = (int16_t)(re - im);
    z[0].im[lane] = 0;
    z[half].im[lane] = 0;
  }
  for (k = 1; k <= half / 2; ++k) {
    const mltk_fe_twiddle w = turns[k - 1];
    mltk_fe_complex *const low = z + k;
    mltk_fe_complex *const high = z + (half - k);
    for (lane = 0; lane < MLTK_FE_LANES; ++lane) {
      const int32_t low_re = scale(low->re[lane], DIVIDE_BY_2), low_im = scale(low->im[lane], DIVIDE_BY_2);
      const int32_t high_re = scale(high->re[lane], DIVIDE_BY_2);
      const int32_t high_im = scale((int16_t)-high->im[lane], DIVIDE_BY_2);
      const int16_t sum_re = (int16_t)(low_re + high_re), sum_im = (int16_t)(low_im + high_im);
      const int16_t diff_re = (int16_t)(low_re - high_re), diff_im = (int16_t)(low_im - high_im);
      const int16_t turned_re = round_q15((int32_t)diff_re * w.re - (int32_t)diff_im * w.im);
      const int16_t turned_im = round_q15((int32_t)diff_re * w.im + (int32_t)diff_im * w.re);
      low->re[lane] = (int16_t)((sum_re + turned_re) >> 1);
      low->im[lane] = (int16_t)((sum_im + turned_im) >> 1);
      high->re[lane] = (int16_t)((sum_re - turned_re) >> 1);
      high->im[lane] = (int16_t)((turned_im - sum_im) >> 1);
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
    stage_4(tables->half, m, twiddles, spectrum);
    twiddles += 3 * m;
  }
  split(tables->half, tables->split, spectrum);
}
