/* Text for the serial port. */
#ifndef PRINT_H_
#define PRINT_H_

#include <stdint.h>

/* Send a text as it is; a terminal may want to be told that "\n" begins a new line at its start. */
void print_text(const char *text);

/* Send a number in decimal. */
void print_number(uint64_t number);

#endif /* PRINT_H_ */
