#include "semihosting.h"

#define SYS_OPEN 0x01u
#define SYS_READ 0x06u
#define SYS_EXIT 0x18u
#define OPEN_BINARY_TO_READ 1u
#define STOPPED_BY_PROGRAM 0x20026u
#define STOPPED_BY_ERROR 0x20023u

static uint32_t call(uint32_t operation, uint32_t parameter) {
  register uint32_t r0 __asm__("r0") = operation;
  register uint32_t r1 __asm__("r1") = parameter;
  __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}

int32_t semihosting_open(const char *name) {
  uint32_t block[3] = {(uint32_t)name, OPEN_BINARY_TO_READ, 0};
  while (name[block[2]] != '\0') {
    ++block[2];
  }
  return (int32_t)call(SYS_OPEN, (uint32_t)block);
}

size_t semihosting_read(int32_t file, void *target, size_t n_bytes) {
  const uint32_t block[3] = {(uint32_t)file, (uint32_t)target, n_bytes};
  const uint32_t not_read = call(SYS_READ, (uint32_t)block);
  return not_read > n_bytes ? 0 : n_bytes - not_read;
}

void semihosting_exit(int is_failure) { (void)call(SYS_EXIT, is_failure != 0 ? STOPPED_BY_ERROR : STOPPED_BY_PROGRAM); }
