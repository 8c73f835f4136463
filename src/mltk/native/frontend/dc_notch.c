/* DC notch filter H(z) = (1 - z^-1) / (1 - k z^-1), k in Q15; wraps where it overflows, as the reference toolkit's. */
#include "mltk_fe.h"

void mltk_fe_dc_notch(const mltk_fe_tables *tables, mltk_fe_state *state, const int16_t *samples, size_t n_samples,
                      int16_t *output) {
  const int32_t coefficient = tables->dc_notch.coefficient;
  int16_t last_input = state->dc_notch.input;
  int16_t last_output = state->dc_notch.output;
  size_t i;
  if (tables->dc_notch.enable == 0) {
    for (i = 0; i < n_samples; ++i) {
      output[i] = samples[i];
    }
    return;
  }
  for (i = 0; i < n_samples; ++i) {
    const int16_t input = samples[i];
    const int16_t difference = (int16_t)(input - last_input);
    const int32_t decayed = ((coefficient * last_output >> 14) + 1) >> 1;
    last_output = (int16_t)(difference + decayed);
    last_input = input;
    output[i] = last_output;
  }
  state->dc_notch.input = last_input;
  state->dc_notch.output = last_output;
}
