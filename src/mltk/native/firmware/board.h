/* What the firmware wants of a board. */
#ifndef BOARD_H_
#define BOARD_H_

/* Clocks, serial port, LED: called once, before anything else. */
void board_init(void);

/* Send one character through the serial port, 115200 baud 8N1. */
void board_put(char character);

/* Switch the LED. */
void board_led(int is_on);

#endif /* BOARD_H_ */
