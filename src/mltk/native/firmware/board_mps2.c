/* Arm's MPS2 and MPS3 boards: the CMSDK serial port and a LED of the FPGA. Source: Arm, CMSDK technical reference. */
#include <stdint.h>

#include "board.h"
#include "board_config.h"

#define REGISTER(offset) (*(volatile uint32_t *)(BOARD_UART + (offset)))
#define DATA REGISTER(0x00u)
#define STATE REGISTER(0x04u)
#define CONTROL REGISTER(0x08u)
#define DIVIDER REGISTER(0x10u)
#define STATE_FULL 1u
#define CONTROL_SEND 1u

void board_init(void) {
  DIVIDER = (BOARD_CLOCK_HZ + 57600u) / 115200u;
  CONTROL = CONTROL_SEND;
}

void board_put(char character) {
  while ((STATE & STATE_FULL) != 0) {
  }
  DATA = (uint8_t)character;
}

void board_led(int is_on) { *(volatile uint32_t *)BOARD_LED = is_on != 0; }
