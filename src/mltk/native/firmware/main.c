/* Listens: sound from the audio provider, words to the command responder. */
#include "audio_provider.h"
#include "board.h"
#include "command_responder.h"
#include "kws.h"
#include "print.h"
#include "semihosting.h"

/* Samples at once: 10 ms at 16 kHz. */
#define MOST_SAMPLES 160

static kws_state state;

int main(void);

int main(void) {
  static int16_t samples[MOST_SAMPLES];
  size_t n;
  board_init();
  if (kws_init(&state) != 0) {
    print_text("The settings do not fit together\n");
    semihosting_exit(1);
    return 1;
  }
  while ((n = audio_provider_read(samples, MOST_SAMPLES)) != 0) {
    const int16_t *next = samples;
    while (n != 0) {
      kws_detection heard;
      const size_t n_taken = kws_feed(&state, next, n, &heard);
      command_responder(kws_time_ms(&state), &heard);
      next += n_taken;
      n -= n_taken;
    }
  }
  semihosting_exit(0);
  return 0;
}
