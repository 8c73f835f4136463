/* This computer in the place of a board: standard output is the serial port, the exit code tells of failure. */
#include <stdio.h>
#include <stdlib.h>

#include "board.h"
#include "semihosting.h"

void board_init(void) {}

void board_put(char character) { (void)putchar(character); }

void board_led(int is_on) { (void)is_on; }

void semihosting_exit(int is_failure) { exit(is_failure != 0 ? EXIT_FAILURE : EXIT_SUCCESS); }
