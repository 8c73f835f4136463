/* 2-D convolution with the vector unit of Cortex-M55: four channels of one position at once, 16 values of its patch at
 * a time. Weights [out_c / 4][terms / 16][4 channels][16], filled up with zeros. */
#include "conv_patch.h"
#include "mve.h"

size_t mltk_conv_s8_scratch_bytes(const mltk_conv_s8_params *params) { return conv_scratch_bytes(params); }

/* The patch in the input itself where it lies there in one piece, else gathered into `room`. */
static const int8_t *patch_at(const mltk_conv_s8_params *params, const int8_t *input, conv_cursor at, int8_t *room) {
  const int is_one_piece = params->kernel_h == 1 || (params->kernel_w == params->in_w && params->dilation_h == 1);
  if (is_one_piece && conv_is_inside(params, at)) return conv_corner(params, input, at);
  conv_gather_patch(params, input, at.top, at.left, room);
  return room;
}

void mltk_conv_s8(const mltk_conv_s8_params *params, const int8_t *input, int8_t *output, void *scratch) {
  const mve_scaling scaling = {params->bias,     params->multipliers, params->shifts, params->out_c,
                               params->out_zero, params->out_min,     params->out_max};
  const uint32_t n_positions = (uint32_t)params->out_h * params->out_w, out_c = params->out_c;
  const uint32_t n_terms = (uint32_t)params->kernel_h * params->kernel_w * params->in_c;
  for (uint32_t batch = params->batches; batch > 0; --batch) {
    conv_cursor at = conv_begin(params);
    for (uint32_t left = n_positions; left > 0; --left, output += out_c, conv_next(params, &at)) {
      const int8_t *patch = patch_at(params, input, at, (int8_t *)scratch);
      const int8_t *weights = (const int8_t *)params->weights;
      for (uint32_t o = 0; o < out_c; o += MVE_CHANNELS) {
        int32x4_t sums;
        weights = mve_dots(patch, weights, n_terms, &sums);
        mve_finish(&scaling, o, sums, output);
      }
    }
    input += (size_t)params->in_h * params->in_w * params->in_c;
  }
}
