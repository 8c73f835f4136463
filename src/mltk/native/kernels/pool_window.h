/* What the poolings share: the part of a window that lies in the input. */
#ifndef MLTK_POOL_WINDOW_H_
#define MLTK_POOL_WINDOW_H_

#include "mltk_nn.h"

typedef struct {
  const int8_t *corner; /* its first cell */
  uint32_t rows, columns;
} pool_window;

/* The window of an output position; it is never empty. */
static inline pool_window pool_window_at(const mltk_pool_s8_params *params, const int8_t *input, uint32_t position) {
  const int32_t top = (int32_t)(position / params->out_w) * params->stride_h - params->pad_top;
  const int32_t left = (int32_t)(position % params->out_w) * params->stride_w - params->pad_left;
  const int32_t bottom = top + params->kernel_h < params->in_h ? top + params->kernel_h : params->in_h;
  const int32_t right = left + params->kernel_w < params->in_w ? left + params->kernel_w : params->in_w;
  const int32_t y = top > 0 ? top : 0, x = left > 0 ? left : 0;
  const pool_window window = {input + ((size_t)y * params->in_w + (size_t)x) * params->channels, (uint32_t)(bottom - y),
                              (uint32_t)(right - x)};
  return window;
}

#endif /* MLTK_POOL_WINDOW_H_ */
