/* Hann window in fixed point, and the headroom of what it leaves. */
#include "mltk_fe_stages.h"

void mltk_fe_window(const mltk_fe_window_tables *tables, const int16_t *const samples[MLTK_FE_LANES], int16_t *windowed,
                    uint32_t shift[MLTK_FE_LANES]) {
  const uint32_t size = tables->size;
  const int16_t *const coefficients = tables->coefficients;
  int lane;
  for (lane = 0; lane < MLTK_FE_LANES; ++lane) {
    const int16_t *MLTK_FE_RESTRICT input = samples[lane];
    int16_t *MLTK_FE_RESTRICT output = windowed + lane;
    int16_t loudest = 0;
    uint32_t i;
    for (i = 0; i < size; ++i) {
      const int16_t value = (int16_t)(((int32_t)input[i] * coefficients[i]) >> MLTK_FE_WINDOW_BITS);
      /* The magnitude of -32768 wraps to itself and so never counts as the loudest: TensorFlow's op does the same. */
      const int16_t magnitude = (int16_t)(value < 0 ? -value : value);
      output[i * MLTK_FE_LANES] = value;
      loudest = magnitude > loudest ? magnitude : loudest;
    }
    shift[lane] = 15u - mltk_fe_bit_length((uint32_t)loudest);
  }
}
