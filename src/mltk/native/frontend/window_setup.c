/* Hann window coefficients in Q12. The mixture of float and double is that of TensorFlow's op: it decides last bits. */
#include <math.h>

#include "mltk_fe_setup_stages.h"

void mltk_fe_window_setup(uint32_t size, int16_t *coefficients) {
  const float angle = (float)(MLTK_FE_PI * 2.0 / (double)(float)size);
  uint32_t i;
  for (i = 0; i < size; ++i) {
    const float value = (float)(0.5 - 0.5 * cos((double)angle * ((double)i + 0.5)));
    const float scaled = value * (float)(1 << MLTK_FE_WINDOW_BITS);
    coefficients[i] = (int16_t)floor((double)scaled + 0.5);
  }
}
