/* Sound out of a file of the PC, through the debugger or the emulator (semihosting). Replace it for a microphone. */
#include "audio_provider.h"

#include "semihosting.h"

__attribute__((weak)) size_t audio_provider_read(int16_t *samples, size_t most) {
  static int32_t file = -1;
  size_t n;
  if (file < 0) {
    file = semihosting_open("audio.raw");
  }
  if (file < 0) {
    return 0;
  }
  n = semihosting_read(file, samples, most * sizeof(*samples));
  return n / sizeof(*samples);
}
