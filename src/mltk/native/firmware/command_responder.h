/* What happens when a word is heard: the second of the two hooks. */
#ifndef COMMAND_RESPONDER_H_
#define COMMAND_RESPONDER_H_

#include "kws.h"

/* Called after each piece of sound; heard->label is NULL where nothing was heard. `time_ms` is the sound's age.
 *
 * The one that comes with this folder prints `Heard yes (201) @4056ms` on the serial port and lights the LED for three
 * seconds. Define the function in a file of your own and it replaces that one. It must return before the microphone's
 * buffer is full. */
void command_responder(int64_t time_ms, const kws_detection *heard);

#endif /* COMMAND_RESPONDER_H_ */
