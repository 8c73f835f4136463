/* Calls of the debugger or emulator that runs the processor. Source: Arm, Semihosting for AArch32 and AArch64. */
#ifndef SEMIHOSTING_H_
#define SEMIHOSTING_H_

#include <stddef.h>
#include <stdint.h>

/* Open a file of the PC to read bytes. Returns its handle, -1 if that fails. */
int32_t semihosting_open(const char *name);

/* Returns how many bytes were read; 0 at the end. */
size_t semihosting_read(int32_t file, void *target, size_t n_bytes);

/* End the program. */
void semihosting_exit(int is_failure);

#endif /* SEMIHOSTING_H_ */
