/* From reset to main: the vector table, memory as C wants it. */
#include <stdint.h>

#include "board_config.h"

extern uint32_t stack_top[], data_load[], data_start[], data_end[], bss_start[], bss_end[];

int main(void);
void reset_handler(void);
void default_handler(void);

typedef struct {
  uint32_t *stack;
  void (*handlers[15])(void);
} vector_table;

/* Nothing here uses interrupts: only reset and the faults are told. */
__attribute__((section(".vectors"), used)) const vector_table vectors = {
    stack_top,
    {reset_handler, default_handler, default_handler, default_handler, default_handler, default_handler},
};

void default_handler(void) {
  for (;;) {
  }
}

void reset_handler(void) {
  const uint32_t *from = data_load;
  uint32_t *to;
#if BOARD_HAS_COPROCESSORS
  /* The compiler may use floating-point and vector registers for what it likes: switch them on. */
  *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20;
  __asm__ volatile("dsb\n\tisb" ::: "memory");
#endif
  for (to = data_start; to < data_end;) {
    *to++ = *from++;
  }
  for (to = bss_start; to < bss_end;) {
    *to++ = 0;
  }
  (void)main();
  default_handler();
}
