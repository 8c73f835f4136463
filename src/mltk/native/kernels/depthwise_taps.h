/* What all forms of the depthwise convolution share: where each tap of the kernel reads at one output position. */
#ifndef MLTK_DEPTHWISE_TAPS_H_
#define MLTK_DEPTHWISE_TAPS_H_

#include "mltk_nn.h"

/* A pointer a tap, and a cell of zero points for taps outside of the input. */
static inline size_t depthwise_scratch_bytes(const mltk_conv_s8_params *params) {
  const size_t slack = sizeof(const int8_t *) - sizeof(uint32_t);
  return slack + (size_t)params->kernel_h * params->kernel_w * sizeof(const int8_t *) +
         ((size_t)params->in_c + 3u) / 4u * 4u;
}

/* Where the pointers begin: scratch is aligned to 4 bytes, which is less than a pointer of 64 bits wants. */
static inline const int8_t **depthwise_taps_in(void *scratch) {
  const uintptr_t mask = sizeof(const int8_t *) - 1u;
  return (const int8_t **)(((uintptr_t)scratch + mask) & ~mask);
}

/* The cell of zero points lies behind the pointers; fill it once before the first position. */
static inline const int8_t *depthwise_zero_cell(const mltk_conv_s8_params *params, const int8_t **taps) {
  int8_t *cell = (int8_t *)(taps + (size_t)params->kernel_h * params->kernel_w);
  for (size_t c = 0; c < params->in_c; ++c) cell[c] = params->in_zero;
  return cell;
}

static inline void depthwise_point_taps(const mltk_conv_s8_params *params, const int8_t *input, const int8_t *zero_cell,
                                        uint32_t position, const int8_t **taps) {
  const int32_t in_h = params->in_h, in_w = params->in_w;
  const int32_t dilation_h = params->dilation_h, dilation_w = params->dilation_w;
  const int32_t left = (int32_t)(position % params->out_w) * params->stride_w - params->pad_left;
  int32_t y = (int32_t)(position / params->out_w) * params->stride_h - params->pad_top;
  for (int32_t ky = params->kernel_h; ky > 0; --ky, y += dilation_h) {
    const int32_t row = y * in_w;
    int32_t x = left;
    for (int32_t kx = params->kernel_w; kx > 0; --kx, x += dilation_w) {
      const int inside = y >= 0 && y < in_h && x >= 0 && x < in_w;
      *taps++ = inside ? input + (size_t)(row + x) * params->in_c : zero_cell;
    }
  }
}

/* The sum of one output channel o, which reads input channel c. */
static inline int32_t depthwise_sum(const mltk_conv_s8_params *params, const int8_t *const *taps, uint32_t c,
                                    uint32_t o) {
  const int8_t *weights = (const int8_t *)params->weights + o;
  const size_t out_c = params->out_c;
  int32_t sum = params->bias[o];
  for (uint32_t left = (uint32_t)params->kernel_h * params->kernel_w; left > 0; --left, weights += out_c) {
    sum += (*taps++)[c] * *weights;
  }
  return sum;
}

#endif /* MLTK_DEPTHWISE_TAPS_H_ */
