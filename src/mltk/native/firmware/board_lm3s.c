/* LM3S6965 evaluation board: PL011 serial port 0, status LED on port F, pin 0. Source: TI, LM3S6965 data sheet. */
#include <stdint.h>

#include "board.h"
#include "board_config.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define CLOCK_CONFIG REGISTER(0x400FE060u)
#define CLOCK_STATUS REGISTER(0x400FE050u)
#define CLOCK_NO_CRYSTAL 0x1u
#define CLOCK_BYPASS 0x800u
#define CLOCK_DIVIDED 0x400000u
#define CLOCK_PLL_READY 0x40u
#define CLOCK_50_MHZ 0x01C00380u
#define CLOCK_GATE_1 REGISTER(0x400FE104u)
#define CLOCK_GATE_2 REGISTER(0x400FE108u)
#define PORT_A 0x40004000u
#define PORT_F 0x40025000u
#define PIN_0_DATA 0x004u
#define DIRECTION 0x400u
#define ALTERNATE 0x420u
#define DIGITAL 0x51Cu
#define UART_DATA REGISTER(BOARD_UART + 0x00u)
#define UART_FLAGS REGISTER(BOARD_UART + 0x18u)
#define UART_DIVIDER REGISTER(BOARD_UART + 0x24u)
#define UART_FRACTION REGISTER(BOARD_UART + 0x28u)
#define UART_LINE REGISTER(BOARD_UART + 0x2Cu)
#define UART_CONTROL REGISTER(BOARD_UART + 0x30u)
#define FLAG_FULL 0x20u

/* 50 MHz: the 8 MHz crystal through the PLL, which is bypassed until it has found its rate. */
static void start_clock(void) {
  uint32_t patience = 100000;
  CLOCK_CONFIG = (CLOCK_CONFIG | CLOCK_BYPASS) & ~(CLOCK_DIVIDED | CLOCK_NO_CRYSTAL);
  CLOCK_CONFIG = CLOCK_50_MHZ | CLOCK_BYPASS;
  while ((CLOCK_STATUS & CLOCK_PLL_READY) == 0 && --patience != 0) {
  }
  CLOCK_CONFIG = CLOCK_50_MHZ;
}

void board_init(void) {
  start_clock();
  CLOCK_GATE_1 |= 1u;
  CLOCK_GATE_2 |= 0x21u;
  REGISTER(PORT_A + ALTERNATE) |= 3u;
  REGISTER(PORT_A + DIGITAL) |= 3u;
  REGISTER(PORT_F + DIRECTION) |= 1u;
  REGISTER(PORT_F + DIGITAL) |= 1u;
  /* Clock / (16 * baud) in 1/64. */
  UART_DIVIDER = (BOARD_CLOCK_HZ * 4u / 115200u) / 64u;
  UART_FRACTION = (BOARD_CLOCK_HZ * 4u / 115200u) % 64u;
  UART_LINE = 0x70u; /* 8 bits, queues */
  UART_CONTROL = 0x301u;
}

void board_put(char character) {
  while ((UART_FLAGS & FLAG_FULL) != 0) {
  }
  UART_DATA = (uint8_t)character;
}

void board_led(int is_on) { REGISTER(PORT_F + PIN_0_DATA) = is_on != 0; }
