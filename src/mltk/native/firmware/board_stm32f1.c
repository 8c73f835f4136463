/* STM32F103 ("blue pill"): serial port 1 on PA9, LED on PC13 (low: on), 72 MHz from an 8 MHz crystal. Source: ST,
 * RM0008. */
#include <stdint.h>

#include "board.h"
#include "board_config.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define RCC_CONTROL REGISTER(0x40021000u)
#define RCC_CONFIG REGISTER(0x40021004u)
#define RCC_GATE_2 REGISTER(0x40021018u)
#define FLASH_ACCESS REGISTER(0x40022000u)
#define PORT_A_HIGH REGISTER(0x40010804u)
#define PORT_C_HIGH REGISTER(0x40011004u)
#define PORT_C_SET REGISTER(0x40011010u)
#define UART_STATUS REGISTER(BOARD_UART + 0x00u)
#define UART_DATA REGISTER(BOARD_UART + 0x04u)
#define UART_BAUD REGISTER(BOARD_UART + 0x08u)
#define UART_CONTROL REGISTER(BOARD_UART + 0x0Cu)
#define CRYSTAL_ON (1u << 16)
#define CRYSTAL_READY (1u << 17)
#define PLL_ON (1u << 24)
#define PLL_READY (1u << 25)
#define STATUS_EMPTY (1u << 7)
#define LED_PIN 13
#define RESET_CLOCK_HZ 8000000u

/* Wait for a bit, not for ever: a board may lack the crystal. Returns whether it came. */
static int wait_for(volatile uint32_t *where, uint32_t mask, uint32_t value) {
  uint32_t patience = 0x10000;
  while ((*where & mask) != value) {
    if (--patience == 0) {
      return 0;
    }
  }
  return 1;
}

/* Returns the clock's rate: 72 MHz, or the 8 MHz of reset if there is no crystal. */
static uint32_t start_clock(void) {
  RCC_CONTROL |= CRYSTAL_ON;
  if (!wait_for(&RCC_CONTROL, CRYSTAL_READY, CRYSTAL_READY)) {
    return RESET_CLOCK_HZ;
  }
  FLASH_ACCESS = 0x12u; /* two wait states, reading ahead */
  /* The crystal times nine; the slower bus of the two with half of it. */
  RCC_CONFIG = (7u << 18) | (1u << 16) | (4u << 8);
  RCC_CONTROL |= PLL_ON;
  if (!wait_for(&RCC_CONTROL, PLL_READY, PLL_READY)) {
    return RESET_CLOCK_HZ;
  }
  RCC_CONFIG |= 2u;
  (void)wait_for(&RCC_CONFIG, 0xCu, 0x8u);
  return BOARD_CLOCK_HZ;
}

void board_init(void) {
  const uint32_t clock_hz = start_clock();
  RCC_GATE_2 |= (1u << 2) | (1u << 4) | (1u << 14);
  PORT_A_HIGH = (PORT_A_HIGH & ~(0xFu << 4)) | (0xBu << 4);   /* PA9: the serial port's, 50 MHz */
  PORT_C_HIGH = (PORT_C_HIGH & ~(0xFu << 20)) | (0x2u << 20); /* PC13: output, 2 MHz */
  UART_BAUD = (clock_hz + 57600u) / 115200u;
  UART_CONTROL = (1u << 13) | (1u << 3);
  board_led(0);
}

void board_put(char character) {
  while ((UART_STATUS & STATUS_EMPTY) == 0) {
  }
  UART_DATA = (uint8_t)character;
}

void board_led(int is_on) { PORT_C_SET = is_on != 0 ? 1u << (LED_PIN + 16) : 1u << LED_PIN; }
