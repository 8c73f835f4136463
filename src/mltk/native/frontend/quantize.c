/* uint16 features to int8. */
#include "mltk_fe.h"

static inline int8_t clamp(int32_t value) { return (int8_t)(value < -128 ? -128 : (value > 127 ? 127 : value)); }

void mltk_fe_quantize_below(const mltk_fe_quantize_tables *tables, uint16_t highest, const uint16_t *features, size_t n,
                            int8_t *output) {
  const int32_t lowest = highest > tables->range ? highest - (int32_t)tables->range : 0;
  const int32_t span = highest > lowest ? highest - lowest : 1;
  size_t i;
  for (i = 0; i < n; ++i) {
    output[i] = clamp((features[i] - lowest) * 255 / span - 128);
  }
}

void mltk_fe_quantize(const mltk_fe_quantize_tables *tables, const uint16_t *features, size_t n, int8_t *output) {
  uint16_t highest = 0;
  size_t i;
  if (tables->dynamic == 0) {
    for (i = 0; i < n; ++i) {
      output[i] = clamp((int32_t)(((uint32_t)features[i] * 256u + 333u) / 666u) - 128);
    }
    return;
  }
  for (i = 0; i < n; ++i) {
    highest = features[i] > highest ? features[i] : highest;
  }
  mltk_fe_quantize_below(tables, highest, features, n, output);
}
