/* What the forms of the convolution share that work on two positions at once: their patches, side by side in scratch.
 *
 * A form defines WORDS_A_STEP (of both patches, for four values of each) and, before it includes this:
 *   store_four(words, position, four)  puts four int8 of position 0 or 1 into a step's words.
 * And it writes:
 *   two_positions(params, patches, n_steps, output_0, output_1)  all channels; the same output twice for a single one.
 */
#ifndef MLTK_CONV_PAIRS_H_
#define MLTK_CONV_PAIRS_H_

#include "conv_patch.h"
#include "thumb2.h"

static void two_positions(const mltk_conv_s8_params *params, const uint32_t *patches, size_t n_steps, int8_t *output_0,
                          int8_t *output_1);

static inline void store_patch(const int8_t *values, size_t n_steps, uint32_t *words, int position) {
  NO_UNROLL
  for (; n_steps > 0; --n_steps, values += 4, words += WORDS_A_STEP) store_four(words, position, load_four(values));
}

/* Values of two patches that lie in one piece; return where the next ones go. */
static inline uint32_t *store_two(const int8_t *values_0, const int8_t *values_1, size_t n_steps, uint32_t *words) {
  NO_UNROLL
  for (; n_steps > 0; --n_steps, values_0 += 4, values_1 += 4, words += WORDS_A_STEP) {
    const uint32_t four_0 = load_four(values_0), four_1 = load_four(values_1);
    store_four(words, 0, four_0);
    store_four(words, 1, four_1);
  }
  return words;
}

/* The patches of two positions; the same position twice for a single one. */
static void store_patches(const mltk_conv_s8_params *params, const int8_t *input, conv_cursor at_0, conv_cursor at_1,
                          uint32_t *words, int8_t *room) {
  const size_t row_size = (size_t)params->kernel_w * params->in_c;
  if (conv_is_inside(params, at_0) && conv_is_inside(params, at_1) && (row_size % 4u == 0 || params->kernel_h == 1)) {
    /* Straight from the input: its rows are whole words, or there is only one. */
    const size_t n_steps = (row_size + 3u) / 4u;
    const size_t next_row = (size_t)params->dilation_h * params->in_w * params->in_c;
    const int8_t *row_0 = conv_corner(params, input, at_0), *row_1 = conv_corner(params, input, at_1);
    for (uint32_t rows = params->kernel_h; rows > 0; --rows, row_0 += next_row, row_1 += next_row) {
      words = store_two(row_0, row_1, n_steps, words);
    }
    return;
  }
  const size_t n_steps = conv_patch_size(params) / 4u;
  conv_gather_patch(params, input, at_0.top, at_0.left, room);
  store_patch(room, n_steps, words, 0);
  conv_gather_patch(params, input, at_1.top, at_1.left, room);
  store_patch(room, n_steps, words, 1);
}

size_t mltk_conv_s8_scratch_bytes(const mltk_conv_s8_params *params) { return conv_scratch_bytes(params); }

void mltk_conv_s8(const mltk_conv_s8_params *params, const int8_t *input, int8_t *output, void *scratch) {
  const uint32_t n_positions = (uint32_t)params->out_h * params->out_w;
  const size_t n_steps = conv_patch_size(params) / 4u, out_c = params->out_c;
  uint32_t *patches = (uint32_t *)scratch;
  int8_t *room = (int8_t *)(patches + n_steps * WORDS_A_STEP);
  int8_t *const begin = output;
  for (uint32_t batch = params->batches; batch > 0; --batch) {
    conv_cursor at = conv_begin(params);
    for (uint32_t left = n_positions; left > 0;) {
      const conv_cursor at_0 = at;
      const uint32_t n = left > 1 ? 2 : 1;
      if (n == 2) conv_next(params, &at);
      store_patches(params, input, at_0, at, patches, room);
      two_positions(params, patches, n_steps, output, output + (n - 1u) * out_c);
      conv_next(params, &at);
      output += n * out_c;
      left -= n;
    }
    input += (size_t)params->in_h * params->in_w * params->in_c;
  }
  finish_activation(begin, (size_t)(output - begin), params->out_min, params->out_max);
}

#endif /* MLTK_CONV_PAIRS_H_ */
