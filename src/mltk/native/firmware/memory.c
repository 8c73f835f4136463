/* What compilers call even in a program without a C library, so that none is needed. Weak: a library's take over. */
#include <stddef.h>
#include <stdint.h>

void *memcpy(void *target, const void *source, size_t n);
void *memmove(void *target, const void *source, size_t n);
void *memset(void *target, int value, size_t n);

/* Keeps the compiler from finding the function in its own loop and calling it again. */
#define OPAQUE(pointer) __asm__ volatile("" : "+r"(pointer))

__attribute__((weak)) void *memcpy(void *target, const void *source, size_t n) {
  uint8_t *to = target;
  const uint8_t *from = source;
  if ((((uintptr_t)to | (uintptr_t)from) & 3u) == 0) {
    for (; n >= 4; n -= 4, to += 4, from += 4) {
      *(uint32_t *)(void *)to = *(const uint32_t *)(const void *)from;
      OPAQUE(to);
    }
  }
  for (; n != 0; --n) {
    *to++ = *from++;
    OPAQUE(to);
  }
  return target;
}

__attribute__((weak)) void *memmove(void *target, const void *source, size_t n) {
  uint8_t *to = target;
  const uint8_t *from = source;
  if ((uintptr_t)to <= (uintptr_t)from) {
    return memcpy(target, source, n);
  }
  while (n != 0) {
    --n;
    to[n] = from[n];
    OPAQUE(to);
  }
  return target;
}

__attribute__((weak)) void *memset(void *target, int value, size_t n) {
  const uint32_t four = (uint8_t)value * 0x01010101u;
  uint8_t *to = target;
  for (; n >= 4 && ((uintptr_t)to & 3u) == 0; n -= 4, to += 4) {
    *(uint32_t *)(void *)to = four;
    OPAQUE(to);
  }
  for (; n != 0; --n) {
    *to++ = (uint8_t)value;
    OPAQUE(to);
  }
  return target;
}
