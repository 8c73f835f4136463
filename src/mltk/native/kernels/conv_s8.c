/* 2-D convolution in plain C: two positions by two channels at once. Weights [out_c][kernel_h][kernel_w][in_c]. */
#include "conv_patch.h"
#include "fixed_point.h"
#include "mltk_nn.h"

size_t mltk_conv_s8_scratch_bytes(const mltk_conv_s8_params *params) { return conv_scratch_bytes(params); }

static int8_t finish(const mltk_conv_s8_params *params, int32_t sum, uint32_t o) {
  sum = mltk_requantize(sum, params->multipliers[o], params->shifts[o]) + params->out_zero;
  return mltk_clamp_s8(sum, params->out_min, params->out_max);
}

/* Of position 0 with channel 0, 0 with 1, 1 with 0, 1 with 1. */
typedef struct {
  int32_t of_00, of_01, of_10, of_11;
} four_sums;

static inline four_sums add_products(four_sums sums, const int8_t *patch_0, const int8_t *patch_1,
                                     const int8_t *weights_0, const int8_t *weights_1, size_t n_terms) {
/* GCC leaves the upper registers alone at -Os. */
#if defined(__ARM_ARCH_6M__) && defined(__OPTIMIZE__) && !defined(__OPTIMIZE_SIZE__)
  /* With eight registers that can be multiplied, compilers put pointers and sums onto the stack and take a third more
   * instructions. Sums and one pointer are in the upper registers; the index runs from -n_terms to 0. */
  int32_t index = -(int32_t)n_terms, a, b, c;
  __asm__(
      ".syntax unified\n"
      "1:\n\t"
      "ldrsb %[a], [%[patch_0], %[index]]\n\t"
      "ldrsb %[b], [%[weights_0], %[index]]\n\t"
      "mov %[c], %[a]\n\t"
      "muls %[c], %[b], %[c]\n\t"
      "add %[of_00], %[c]\n\t"
      "ldrsb %[c], [%[weights_1], %[index]]\n\t"
      "muls %[a], %[c], %[a]\n\t"
      "add %[of_01], %[a]\n\t"
      "mov %[a], %[patch_1]\n\t"
      "ldrsb %[a], [%[a], %[index]]\n\t"
      "muls %[b], %[a], %[b]\n\t"
      "add %[of_10], %[b]\n\t"
      "muls %[a], %[c], %[a]\n\t"
      "add %[of_11], %[a]\n\t"
      "adds %[index], #1\n\t"
      "bne 1b"
      : [of_00] "+h"(sums.of_00), [of_01] "+h"(sums.of_01), [of_10] "+h"(sums.of_10), [of_11] "+h"(sums.of_11),
        [index] "+l"(index), [a] "=&l"(a), [b] "=&l"(b), [c] "=&l"(c)
      : [patch_0] "l"(patch_0 + n_terms), [patch_1] "h"(patch_1 + n_terms), [weights_0] "l"(weights_0 + n_terms),
        [weights_1] "l"(weights_1 + n_terms)
      : "cc", "memory");
#else
  for (size_t k = 0; k < n_terms; ++k) {
    const int32_t value_0 = patch_0[k], value_1 = patch_1[k];
    const int32_t weight_0 = weights_0[k], weight_1 = weights_1[k];
    sums.of_00 += value_0 * weight_0;
    sums.of_01 += value_0 * weight_1;
    sums.of_10 += value_1 * weight_0;
    sums.of_11 += value_1 * weight_1;
  }
#endif
  return sums;
}

/* All channels of two positions; the same patch and output twice for a single one. */
static void two_positions(const mltk_conv_s8_params *params, const int8_t *patch_0, const int8_t *patch_1,
                          int8_t *output_0, int8_t *output_1) {
  const size_t n_terms = (size_t)params->kernel_h * params->kernel_w * params->in_c;
  const int8_t *weights_0 = (const int8_t *)params->weights;
  uint32_t o = 0;
  for (; o + 1 < params->out_c; o += 2) {
    const int8_t *weights_1 = weights_0 + n_terms;
    four_sums sums = {params->bias[o], params->bias[o + 1], params->bias[o], params->bias[o + 1]};
    sums = add_products(sums, patch_0, patch_1, weights_0, weights_1, n_terms);
    weights_0 = weights_1 + n_terms;
    output_0[o] = finish(params, sums.of_00, o);
    output_0[o + 1] = finish(params, sums.of_01, o + 1);
    output_1[o] = finish(params, sums.of_10, o);
    output_1[o + 1] = finish(params, sums.of_11, o + 1);
  }
  if (o < params->out_c) {
    int32_t sum_0 = params->bias[o], sum_1 = sum_0;
    for (size_t k = 0; k < n_terms; ++k) {
      sum_0 += patch_0[k] * weights_0[k];
      sum_1 += patch_1[k] * weights_0[k];
    }
    output_0[o] = finish(params, sum_0, o);
    output_1[o] = finish(params, sum_1, o);
  }
}

void mltk_conv_s8(const mltk_conv_s8_params *params, const int8_t *input, int8_t *output, void *scratch) {
  const uint32_t n_positions = (uint32_t)params->out_h * params->out_w;
  int8_t *room = (int8_t *)scratch;
  for (uint32_t batch = 0; batch < params->batches; ++batch) {
    for (uint32_t position = 0; position < n_positions; position += 2) {
      const int is_pair = position + 1 < n_positions;
      const int8_t *patch_0 = conv_patch_at(params, input, position, room);
      const int8_t *patch_1 =
          is_pair ? conv_patch_at(params, input, position + 1, room + conv_patch_size(params)) : patch_0;
      two_positions(params, patch_0, patch_1, output, is_pair ? output + params->out_c : output);
      output += is_pair ? 2u * params->out_c : params->out_c;
    }
    input += (size_t)params->in_h * params->in_w * params->in_c;
  }
}
