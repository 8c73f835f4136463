/* The clips that a self-test runs; their values are generated. */
#ifndef SELF_TEST_H_
#define SELF_TEST_H_

#include <stdint.h>

#include "../model/self_test_model.h"

typedef struct {
  const char *name;       /* of the clip */
  uint16_t class_id;      /* what is to be heard */
  const int8_t *features; /* SELF_TEST_MODEL_INPUT_SIZE of them */
  const int8_t *scores;   /* what the model gave in Python, SELF_TEST_MODEL_OUTPUT_SIZE of them */
} self_test_clip;

extern const char *const self_test_labels[SELF_TEST_MODEL_OUTPUT_SIZE];
extern const self_test_clip self_test_clips[];
extern const uint16_t self_test_n_clips;

#endif /* SELF_TEST_H_ */
