/* What the operators on two tensors share: walking over both row by row where one is repeated along dimensions. */
#ifndef MLTK_ELEMENTWISE_H_
#define MLTK_ELEMENTWISE_H_

#include "mltk_nn.h"

enum { ELEMENTWISE_ROW = 3 }; /* the innermost dimension: a row */

typedef struct {
  const int8_t *first, *second;
  uint32_t position[ELEMENTWISE_ROW];
} elementwise_rows;

static inline elementwise_rows elementwise_begin(const int8_t *first, const int8_t *second) {
  const elementwise_rows rows = {first, second, {0, 0, 0}};
  return rows;
}

/* Both inputs have each value of a row once: the loop needs no steps. */
static inline int elementwise_is_plain(const mltk_broadcast *shape) {
  return shape->first_steps[ELEMENTWISE_ROW] == 1 && shape->second_steps[ELEMENTWISE_ROW] == 1;
}

/* Go to the next row; 0 after the last. */
static inline int elementwise_next(const mltk_broadcast *shape, elementwise_rows *rows) {
  for (int d = ELEMENTWISE_ROW - 1; d >= 0; --d) {
    rows->first += shape->first_steps[d];
    rows->second += shape->second_steps[d];
    if (++rows->position[d] < shape->sizes[d]) return 1;
    rows->position[d] = 0;
    rows->first -= (size_t)shape->sizes[d] * shape->first_steps[d];
    rows->second -= (size_t)shape->sizes[d] * shape->second_steps[d];
  }
  return 0;
}

/* x / 2^bits, a half rounded away from zero, in fewer instructions than mltk_divide_by_power: |x| < 2^29, bits <= 30.
 */
static inline int32_t elementwise_divide(int32_t x, int32_t bits) {
  return bits > 0 ? (x + ((1 << bits) >> 1) + (x >> 31)) >> bits : x;
}

#endif /* MLTK_ELEMENTWISE_H_ */
