/* Depthwise 2-D convolution with the vector unit of Cortex-M55: 16 channels at once, then four. Weights
 * [kernel_h][kernel_w][out_c]. */
#include "depthwise_taps.h"
#include "mve.h"

size_t mltk_depthwise_conv_s8_scratch_bytes(const mltk_conv_s8_params *params) {
  return depthwise_scratch_bytes(params);
}

/* Every fourth channel's sum: 16 products come in this order when they are widened twice. */
typedef struct {
  int32x4_t from_0, from_1, from_2, from_3; /* channels 0, 4, 8, 12; 1, 5, 9, 13; ... */
} sixteen_sums;

static inline sixteen_sums add_sixteen(sixteen_sums sums, int8x16_t values, int8x16_t weights) {
  const int16x8_t even = vmullbq_int_s8(values, weights), odd = vmulltq_int_s8(values, weights);
  sums.from_0 = vaddq_s32(sums.from_0, vmovlbq_s16(even));
  sums.from_1 = vaddq_s32(sums.from_1, vmovlbq_s16(odd));
  sums.from_2 = vaddq_s32(sums.from_2, vmovltq_s16(even));
  sums.from_3 = vaddq_s32(sums.from_3, vmovltq_s16(odd));
  return sums;
}

/* The outputs of channels first, first + 4, first + 8 and first + 12, not yet limited. */
static inline int32x4_t scale_fourths(const mve_scaling *scaling, uint32_t first, int32x4_t sums) {
  const uint32x4_t fourths = vidupq_n_u32(0, 4);
  sums = vaddq_s32(sums, vldrwq_gather_shifted_offset_s32(scaling->bias + first, fourths));
  const int32x4_t multiplier = vldrwq_gather_shifted_offset_s32(scaling->multipliers + first, fourths);
  sums = mve_requantize(sums, multiplier, vldrbq_gather_offset_s32(scaling->shifts + first, fourths));
  return vaddq_n_s32(sums, scaling->zero);
}

/* Channels c to c + 15 of one position. */
static void sixteen_channels(const mltk_conv_s8_params *params, const mve_scaling *scaling, const int8_t *const *taps,
                             uint32_t c, int8_t *output) {
  const int8_t *weights = (const int8_t *)params->weights + c;
  const size_t out_c = params->out_c;
  const int32x4_t none = vdupq_n_s32(0);
  sixteen_sums sums = {none, none, none, none};
  for (uint32_t left = (uint32_t)params->kernel_h * params->kernel_w; left > 0; --left, weights += out_c) {
    sums = add_sixteen(sums, vldrbq_s8(*taps++ + c), vldrbq_s8(weights));
  }
  int16x8_t even = vqmovnbq_s32(vdupq_n_s16(0), scale_fourths(scaling, c, sums.from_0));
  even = vqmovntq_s32(even, scale_fourths(scaling, c + 2, sums.from_2));
  int16x8_t odd = vqmovnbq_s32(vdupq_n_s16(0), scale_fourths(scaling, c + 1, sums.from_1));
  odd = vqmovntq_s32(odd, scale_fourths(scaling, c + 3, sums.from_3));
  int8x16_t all = vqmovntq_s16(vqmovnbq_s16(vdupq_n_s8(0), even), odd);
  all = vmaxq_s8(all, vdupq_n_s8((int8_t)scaling->lowest));
  vstrbq_s8(output + c, vminq_s8(all, vdupq_n_s8((int8_t)scaling->highest)));
}

/* The sums of channels c to c + 3, as far as there are so many. */
static inline int32x4_t four_sums(const mltk_conv_s8_params *params, const int8_t *const *taps, uint32_t c) {
  const mve_pred16_t which = vctp32q(params->out_c - c);
  const int8_t *weights = (const int8_t *)params->weights + c;
  const size_t out_c = params->out_c;
  int32x4_t sums = vdupq_n_s32(0);
  for (uint32_t left = (uint32_t)params->kernel_h * params->kernel_w; left > 0; --left, weights += out_c) {
    const int32x4_t values = vldrbq_z_s32(*taps++ + c, which);
    sums = vaddq_s32(sums, vmulq_s32(values, vldrbq_z_s32(weights, which)));
  }
  return sums;
}

/* The same where each input channel has several outputs. */
static int32x4_t four_repeated_sums(const mltk_conv_s8_params *params, const int8_t *const *taps, uint32_t o) {
  const uint32_t depth_multiplier = (uint32_t)params->out_c / params->in_c;
  int32_t sums[MVE_CHANNELS] = {0, 0, 0, 0};
  for (uint32_t i = 0; i < MVE_CHANNELS && o + i < params->out_c; ++i) {
    sums[i] = depthwise_sum(params, taps, (o + i) / depth_multiplier, o + i) - params->bias[o + i];
  }
  return vldrwq_s32(sums);
}

void mltk_depthwise_conv_s8(const mltk_conv_s8_params *params, const int8_t *input, int8_t *output, void *scratch) {
  const mve_scaling scaling = {params->bias,     params->multipliers, params->shifts, params->out_c,
                               params->out_zero, params->out_min,     params->out_max};
  const uint32_t n_positions = (uint32_t)params->out_h * params->out_w;
  const int is_single = params->out_c == params->in_c;
  const int8_t **taps = (const int8_t **)scratch;
  const int8_t *zero_cell = depthwise_zero_cell(params, taps);
  for (uint32_t batch = params->batches; batch > 0; --batch) {
    for (uint32_t position = 0; position < n_positions; ++position, output += params->out_c) {
      depthwise_point_taps(params, input, zero_cell, position, taps);
      uint32_t c = 0;
      if (is_single) {
        for (; c + 15 < params->out_c; c += 16) sixteen_channels(params, &scaling, taps, c, output);
      }
      for (; c < params->out_c; c += MVE_CHANNELS) {
        mve_finish(&scaling, c, is_single ? four_sums(params, taps, c) : four_repeated_sums(params, taps, c), output);
      }
    }
    input += (size_t)params->in_h * params->in_w * params->in_c;
  }
}
