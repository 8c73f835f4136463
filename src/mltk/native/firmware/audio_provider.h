/* Where sound comes from: the first of the two hooks. */
#ifndef AUDIO_PROVIDER_H_
#define AUDIO_PROVIDER_H_

#include <stddef.h>
#include <stdint.h>

/* Wait for sound and write up to `most` samples (16 bit, mono, KWS_SAMPLE_RATE_HZ).
 * Returns how many, at least one; 0 ends the program.
 *
 * The one that comes with this folder reads the file `audio.raw` of the PC through semihosting: it is for emulators and
 * debuggers. Define the function in a file of your own, over your microphone's driver, and it replaces that one. */
size_t audio_provider_read(int16_t *samples, size_t most);

#endif /* AUDIO_PROVIDER_H_ */
