/* Runs a compiled model on the spectrograms of some clips and checks what it hears. */
#include "self_test.h"

#include "board.h"
#include "print.h"
#include "semihosting.h"

static self_test_model_state state;

int main(void);

/* Returns the first class with the highest score. */
static uint16_t best_of(const int8_t *scores) {
  uint16_t best = 0;
  uint16_t class_id;
  for (class_id = 1; class_id < SELF_TEST_MODEL_OUTPUT_SIZE; ++class_id) {
    if (scores[class_id] > scores[best]) {
      best = class_id;
    }
  }
  return best;
}

/* Returns whether the clip was heard, with the scores that Python computed. */
static int test_clip(const self_test_clip *clip) {
  int8_t *input = self_test_model_input(&state);
  const int8_t *scores = self_test_model_output(&state);
  uint16_t heard;
  uint32_t i;
  for (i = 0; i < SELF_TEST_MODEL_INPUT_SIZE; ++i) {
    input[i] = clip->features[i];
  }
  if (self_test_model_invoke(&state) != SELF_TEST_MODEL_OK) {
    print_text(": invoking the model failed\n");
    return 0;
  }
  heard = best_of(scores);
  print_text(": heard ");
  print_text(self_test_labels[heard]);
  print_text(" (");
  print_number((uint64_t)(scores[heard] + 128));
  print_text(")");
  if (heard != clip->class_id) {
    print_text(", expected ");
    print_text(self_test_labels[clip->class_id]);
    print_text("\n");
    return 0;
  }
  for (i = 0; i < SELF_TEST_MODEL_OUTPUT_SIZE; ++i) {
    if (scores[i] != clip->scores[i]) {
      print_text(", but the score of ");
      print_text(self_test_labels[i]);
      print_text(" differs from Python's\n");
      return 0;
    }
  }
  print_text("\n");
  return 1;
}

int main(void) {
  uint16_t n_passed = 0;
  uint16_t i;
  board_init();
  if (self_test_model_init(&state) != SELF_TEST_MODEL_OK) {
    print_text("The model can not be set up\n");
  } else {
    for (i = 0; i < self_test_n_clips; ++i) {
      print_text("Testing ");
      print_text(self_test_clips[i].name);
      n_passed = (uint16_t)(n_passed + test_clip(&self_test_clips[i]));
    }
  }
  print_number(n_passed);
  print_text("/");
  print_number(self_test_n_clips);
  print_text(" tests passed\n");
  print_text(n_passed == self_test_n_clips ? "~~~ALL TESTS PASSED~~~\n" : "~~~SOME TESTS FAILED~~~\n");
  semihosting_exit(n_passed != self_test_n_clips);
  return n_passed != self_test_n_clips;
}
