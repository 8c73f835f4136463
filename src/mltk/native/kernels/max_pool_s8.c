/* Largest value of a sliding window. */
#include "fixed_point.h"
#include "mltk_nn.h"
#include "pool_window.h"

void mltk_max_pool_s8(const mltk_pool_s8_params *params, const int8_t *input, int8_t *output) {
  const uint32_t n_positions = (uint32_t)params->out_h * params->out_w;
  const size_t channels = params->channels, row_size = channels * params->in_w;
  const int32_t lowest = params->out_min, highest = params->out_max;
  for (uint32_t batch = params->batches; batch > 0; --batch, input += row_size * params->in_h) {
    for (uint32_t position = 0; position < n_positions; ++position) {
      const pool_window window = pool_window_at(params, input, position);
      for (size_t c = 0; c < channels; ++c) {
        const int8_t *row = window.corner + c;
        int32_t largest = INT8_MIN;
        for (uint32_t y = window.rows; y > 0; --y, row += row_size) {
          const int8_t *cell = row;
          for (uint32_t x = window.columns; x > 0; --x, cell += channels) largest = *cell > largest ? *cell : largest;
        }
        *output++ = mltk_clamp_s8(largest, lowest, highest);
      }
    }
  }
}
