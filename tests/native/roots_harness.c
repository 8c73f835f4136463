/* The vector forms' square roots of doubles beside those of the one-lane C, where rounding may go wrong: around
 * squares, around the middle between two roots, around 2^32, and below 2^50, which is as far as they may be used.
 *
 * Compiled with -DOPERATIONS="vector_....h".
 */
#include <stdio.h>

#include OPERATIONS

#define MOST ((uint64_t)1 << 50)

static unsigned long differing = 0, values = 0;
static uint64_t waiting[LANES];
static uint32_t n_waiting = 0;

static void compare_waiting(void) {
  static const uint32_t shift[MLTK_FE_LANES] = {0};
  double numbers[LANES];
  uint32_t expected[LANES], got[2 * LANES], i;
  uint32_t *const aligned = got + ((64 - (uintptr_t)got % 64) % 64) / sizeof(uint32_t);
  doubles ones[LANES / 2], halves[2];
  double unit[LANES / 2];
  uint32_t half, k;
  for (i = 0; i < LANES; ++i) {
    numbers[i] = (double)waiting[i];
  }
  /* Each number as a sum of which all but one are 0. */
  for (half = 0; half < 2; ++half) {
    for (i = 0; i < LANES / 2; ++i) {
      double one[2 * LANES];
      double *const place = one + ((64 - (uintptr_t)one % 64) % 64) / sizeof(double);
      for (k = 0; k < LANES / 2; ++k) {
        place[k] = k == i ? 1.0 : 0.0;
        unit[k] = k == i ? numbers[half * (LANES / 2) + i] : 0.0;
      }
      ones[i] = multiply_doubles(unit, place);
    }
    halves[half] = sum_each(ones);
  }
  store(aligned, rounded_roots(halves[0], halves[1]));
  mltk_fe_square_root(LANES, waiting, shift, expected);
  for (i = 0; i < LANES; ++i) {
    differing += aligned[i] != expected[i];
  }
  values += LANES;
  n_waiting = 0;
}

static void check(uint64_t x) {
  if (x < MOST) {
    waiting[n_waiting++] = x;
    if (n_waiting == LANES) {
      compare_waiting();
    }
  }
}

static void check_root(uint64_t root) {
  uint64_t i;
  for (i = 0; i < 4; ++i) {
    check(root * root + i - (root == 0 ? 0 : 2)); /* around the square */
    check(root * root + root + i);                /* around the middle to the next */
  }
}

int main(void) {
  uint64_t root;
  for (root = 0; root < 70000; ++root) {
    check_root(root);
  }
  for (root = 70000; root < ((uint64_t)1 << 25) + 2; root += 97) {
    check_root(root);
  }
  for (root = ((uint64_t)1 << 25) - 20000; root < ((uint64_t)1 << 25) + 2; ++root) {
    check_root(root);
  }
  printf("values %lu differing %lu\n", values, differing);
  return differing != 0;
}
