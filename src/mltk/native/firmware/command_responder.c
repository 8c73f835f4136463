/* Prints what was heard and lights the LED. */
#include "command_responder.h"

#include "board.h"
#include "print.h"

#define LED_MS 3000

__attribute__((weak)) void command_responder(int64_t time_ms, const kws_detection *heard) {
  static int64_t lit_since_ms = -1;
  if (heard->label != NULL) {
    print_text("Heard ");
    print_text(heard->label);
    print_text(" (");
    print_number(heard->score);
    print_text(") @");
    print_number((uint64_t)heard->time_ms);
    print_text("ms\n");
    board_led(1);
    lit_since_ms = heard->time_ms;
  } else if (lit_since_ms >= 0 && time_ms - lit_since_ms >= LED_MS) {
    board_led(0);
    lit_since_ms = -1;
  }
}
