/* Any function of one int8, as a table of its 256 values. */
#include "mltk_nn.h"

void mltk_lookup_s8(const mltk_lookup_s8_params *params, const int8_t *input, int8_t *output) {
  const int8_t *table = params->table;
  for (uint32_t left = params->count; left > 0; --left) *output++ = table[(uint8_t)*input++];
}
