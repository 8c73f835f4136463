/* BBC micro:bit, first version: nRF51822 serial port on pins 24 and 25, one LED of the matrix. Source: Nordic,
 * nRF51 Series Reference Manual. */
#include <stdint.h>

#include "board.h"
#include "board_config.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define UART_START REGISTER(BOARD_UART + 0x008u)
#define UART_SENT REGISTER(BOARD_UART + 0x11Cu)
#define UART_ENABLE REGISTER(BOARD_UART + 0x500u)
#define UART_PIN REGISTER(BOARD_UART + 0x50Cu)
#define UART_DATA REGISTER(BOARD_UART + 0x51Cu)
#define UART_BAUD REGISTER(BOARD_UART + 0x524u)
#define GPIO_SET REGISTER(0x50000508u)
#define GPIO_CLEAR REGISTER(0x5000050Cu)
#define GPIO_OUTPUTS REGISTER(0x50000518u)
#define PIN_SEND 24u
#define LED_COLUMN (1u << 4) /* low: on */
#define LED_ROW (1u << 13)   /* high: on */
#define BAUD_115200 0x01D7E000u

void board_init(void) {
  GPIO_SET = 1u << PIN_SEND;
  GPIO_OUTPUTS = (1u << PIN_SEND) | LED_COLUMN | LED_ROW;
  UART_PIN = PIN_SEND;
  UART_BAUD = BAUD_115200;
  UART_ENABLE = 4;
  UART_START = 1;
}

void board_put(char character) {
  UART_SENT = 0;
  UART_DATA = (uint8_t)character;
  while (UART_SENT == 0) {
  }
}

void board_led(int is_on) {
  if (is_on != 0) {
    GPIO_SET = LED_ROW;
    GPIO_CLEAR = LED_COLUMN;
  } else {
    GPIO_CLEAR = LED_ROW;
  }
}
