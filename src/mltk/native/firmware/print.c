#include "print.h"

#include "board.h"

#define MOST_DIGITS 20

void print_text(const char *text) {
  for (; *text != '\0'; ++text) {
    board_put(*text);
  }
}

/* Digits by subtraction: a 64-bit division would bring half a kilobyte of library. */
void print_number(uint64_t number) {
  uint64_t power = 1;
  uint32_t n_digits = 1;
  uint32_t i;
  while (n_digits < MOST_DIGITS && number >= power * 10) {
    power *= 10;
    ++n_digits;
  }
  for (; n_digits != 0; --n_digits) {
    char digit = '0';
    uint64_t next = 1;
    while (number >= power) {
      number -= power;
      ++digit;
    }
    board_put(digit);
    for (i = 2; i < n_digits; ++i) {
      next *= 10;
    }
    power = next;
  }
}
