/* Twiddle factors in Q15 and the order in which the first stage reads its points. */
#include <math.h>

#include "mltk_fe_setup_stages.h"

static mltk_fe_twiddle turn(double phase) {
  mltk_fe_twiddle w;
  w.re = (int16_t)floor(0.5 + 32767.0 * cos(phase));
  w.im = (int16_t)floor(0.5 + 32767.0 * sin(phase));
  return w;
}

uint32_t mltk_fe_fft_half(uint32_t window_size) {
  uint32_t length = 1;
  while (length < window_size) {
    length *= 2;
  }
  return length / 2;
}

uint32_t mltk_fe_fft_first_radix(uint32_t half) {
  while (half > 2) {
    half /= 4;
  }
  return half == 2 ? 2u : 4u;
}

/* Position `p` of the output of the first stage's butterflies, read digit by digit from the last stage to the second.
 */
static uint32_t source_of(uint32_t p, uint32_t half, uint32_t first_radix) {
  uint32_t width = half;
  uint32_t weight = 1;
  uint32_t source = 0;
  while (width > first_radix) {
    width /= 4;
    source += (p / width) * weight;
    p %= width;
    weight *= 4;
  }
  return source;
}

void mltk_fe_fft_setup(uint32_t half, uint16_t *order, mltk_fe_twiddle *twiddles, mltk_fe_twiddle *split) {
  const uint32_t first_radix = mltk_fe_fft_first_radix(half);
  uint32_t i, m, arm, k;
  for (i = 0; i < half / first_radix; ++i) {
    order[i] = (uint16_t)source_of(i * first_radix, half, first_radix);
  }
  for (m = first_radix; m < half; m *= 4) {
    const uint32_t stride = half / (4 * m);
    for (arm = 1; arm < 4; ++arm) {
      for (k = 0; k < m; ++k) {
        *twiddles++ = turn(-2 * MLTK_FE_PI * (double)(arm * k * stride) / (double)half);
      }
    }
  }
  for (i = 0; i < half / 2; ++i) {
    split[i] = turn(-MLTK_FE_PI * ((double)(i + 1) / (double)half + 0.5));
  }
}
