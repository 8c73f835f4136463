/* Moving values: transpose, pad, concatenation, slices, pack and split are all copies between two strided views. */
#include "mltk_nn.h"

/* Four bytes at once from and to any address where the processor can. */
static void copy_run(uint8_t *output, const uint8_t *input, uint32_t count) {
#if defined(__GNUC__) && (defined(__ARM_FEATURE_UNALIGNED) || !defined(__arm__))
  for (; count >= 4; count -= 4, output += 4, input += 4) __builtin_memcpy(output, input, 4);
#endif
  for (; count > 0; --count) *output++ = *input++;
}

void mltk_copy(const mltk_copy_params *params, const void *input, void *output) {
  const uint8_t *const source = (const uint8_t *)input;
  uint8_t *const target = (uint8_t *)output;
  const uint32_t inner = params->dims - 1u, count = params->extents[inner], run_bytes = params->run_bytes;
  const int32_t input_step = params->input_strides[inner], output_step = params->output_strides[inner];
  int32_t from = params->input_start, to = params->output_start;
  uint32_t place[MLTK_COPY_MAX_DIMS] = {0};
  for (;;) {
    int32_t row_from = from, row_to = to;
    for (uint32_t left = count; left > 0; --left, row_from += input_step, row_to += output_step) {
      if (run_bytes == 1) {
        target[row_to] = source[row_from];
      } else {
        copy_run(target + row_to, source + row_from, run_bytes);
      }
    }
    uint32_t dim = inner;
    for (;;) {
      if (dim == 0) return;
      --dim;
      from += params->input_strides[dim];
      to += params->output_strides[dim];
      if (++place[dim] < params->extents[dim]) break;
      from -= (int32_t)params->extents[dim] * params->input_strides[dim];
      to -= (int32_t)params->extents[dim] * params->output_strides[dim];
      place[dim] = 0;
    }
  }
}

void mltk_fill(const mltk_fill_params *params, void *output) {
  uint8_t *target = (uint8_t *)output;
  const uint8_t value = params->value;
  for (uint32_t left = params->n_bytes; left > 0; --left) *target++ = value;
}
