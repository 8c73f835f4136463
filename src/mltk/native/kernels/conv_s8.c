/* 2-D convolution in plain C: two positions by two channels at once. Weights [out_c][kernel_h][kernel_w][in_c]. */
#include "conv_patch.h"
#include "fixed_point.h"
#include "mltk_nn.h"

size_t mltk_conv_s8_scratch_bytes(const mltk_conv_s8_params *params) { return conv_scratch_bytes(params); }

static int8_t finish(const mltk_conv_s8_params *params, int32_t sum, uint32_t o) {
  sum = mltk_requantize(sum, params->multipliers[o], params->shifts[o]) + params->out_zero;
  return mltk_clamp_s8(sum, params->out_min, params->out_max);
}

/* All channels of two positions; the same patch and output twice for a single one. */
static void two_positions(const mltk_conv_s8_params *params, const int8_t *patch_0, const int8_t *patch_1,
                          int8_t *output_0, int8_t *output_1) {
  const size_t n_terms = (size_t)params->kernel_h * params->kernel_w * params->in_c;
  const int8_t *weights_0 = (const int8_t *)params->weights;
  uint32_t o = 0;
  for (; o + 1 < params->out_c; o += 2) {
    const int8_t *weights_1 = weights_0 + n_terms;
    int32_t sum_00 = params->bias[o], sum_01 = params->bias[o + 1];
    int32_t sum_10 = sum_00, sum_11 = sum_01;
    for (size_t k = 0; k < n_terms; ++k) {
      const int32_t value_0 = patch_0[k], value_1 = patch_1[k];
      const int32_t weight_0 = weights_0[k], weight_1 = weights_1[k];
      sum_00 += value_0 * weight_0;
      sum_01 += value_0 * weight_1;
      sum_10 += value_1 * weight_0;
      sum_11 += value_1 * weight_1;
    }
    weights_0 = weights_1 + n_terms;
    output_0[o] = finish(params, sum_00, o);
    output_0[o + 1] = finish(params, sum_01, o + 1);
    output_1[o] = finish(params, sum_10, o);
    output_1[o + 1] = finish(params, sum_11, o + 1);
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
