/* What all forms of the convolution share: the part of the input that one output position looks at. */
#ifndef MLTK_CONV_PATCH_H_
#define MLTK_CONV_PATCH_H_

#include "loops.h"
#include "mltk_nn.h"

/* Values of one patch, filled up to whole words. */
static inline size_t conv_patch_size(const mltk_conv_s8_params *params) {
  return ((size_t)params->kernel_h * params->kernel_w * params->in_c + 3u) / 4u * 4u;
}

/* Room for an int8 patch and two int16 ones: enough for every form, so that one plan serves them all. */
static inline size_t conv_scratch_bytes(const mltk_conv_s8_params *params) { return 5u * conv_patch_size(params); }

/* Four bytes from and to any address where the processor can; no call of memcpy: most rows have a few bytes only. */
static inline void conv_copy(int8_t *target, const int8_t *source, size_t count) {
#if defined(__GNUC__) && (defined(__ARM_FEATURE_UNALIGNED) || !defined(__arm__))
  if (count >= 4) {
    __builtin_memcpy(target + count - 4, source + count - 4, 4); /* perhaps some bytes for the second time */
    NO_UNROLL
    for (; count > 4; count -= 4, target += 4, source += 4) __builtin_memcpy(target, source, 4);
    return;
  }
#endif
  NO_UNROLL
  while (count > 0) {
    --count;
    target[count] = source[count];
  }
}

/* The rows of a patch that has neighbours in the input beside each other, as far as they lie there. */
static inline void conv_gather_rows(const mltk_conv_s8_params *params, const int8_t *input, int32_t top, int32_t left,
                                    int8_t *patch) {
  /* Copies, because a store of int8 may change anything for all that C knows. */
  const int32_t in_h = params->in_h, in_w = params->in_w, kernel_w = params->kernel_w;
  const int32_t dilation_h = params->dilation_h;
  const size_t in_c = params->in_c, row_size = (size_t)kernel_w * in_c;
  const int32_t before = left < 0 ? -left : 0;
  const int32_t end = in_w - left < kernel_w ? in_w - left : kernel_w;
  if (end <= before) return;
  const size_t count = (size_t)(end - before) * in_c;
  const size_t next_row = (size_t)dilation_h * (size_t)in_w * in_c;
  patch += (size_t)before * in_c;
  int32_t rows = params->kernel_h, y = top;
  for (; y < 0 && rows > 0; --rows, y += dilation_h) patch += row_size;
  for (; rows > 0 && y + (rows - 1) * dilation_h >= in_h; --rows) continue;
  if (rows <= 0) return;
  const int8_t *row = input + (size_t)(y * in_w + left + before) * in_c;
  NO_UNROLL
  for (; rows > 0; --rows, patch += row_size, row += next_row) conv_copy(patch, row, count);
}

/* The same cell by cell. */
static __attribute__((noinline)) void conv_gather_cells(const mltk_conv_s8_params *params, const int8_t *input,
                                                        int32_t top, int32_t left, int8_t *patch) {
  const size_t in_c = params->in_c;
  int32_t y = top;
  for (uint32_t ky = params->kernel_h; ky > 0; --ky, y += params->dilation_h) {
    int32_t x = left;
    for (uint32_t kx = params->kernel_w; kx > 0; --kx, x += params->dilation_w, patch += in_c) {
      const int inside = y >= 0 && y < params->in_h && x >= 0 && x < params->in_w;
      if (inside) conv_copy(patch, input + (size_t)(y * params->in_w + x) * in_c, in_c);
    }
  }
}

/* The patch whose first cell is (top, left), [kernel_h][kernel_w][in_c], with the zero point where it leaves the input.
 * `patch` is aligned to words and has room for whole ones. */
static inline void conv_gather_patch(const mltk_conv_s8_params *params, const int8_t *input, int32_t top, int32_t left,
                                     int8_t *patch) {
  const int32_t bottom = top + (params->kernel_h - 1) * params->dilation_h;
  const int32_t right = left + (params->kernel_w - 1) * params->dilation_w;
  if (top < 0 || left < 0 || bottom >= params->in_h || right >= params->in_w) {
    const uint32_t zeros = (uint8_t)params->in_zero * 0x01010101u;
    uint32_t *words = (uint32_t *)(void *)patch;
    NO_UNROLL
    for (size_t n_words = conv_patch_size(params) / 4u; n_words > 0; --n_words) *words++ = zeros;
  }
  if (params->dilation_w == 1) {
    conv_gather_rows(params, input, top, left, patch);
  } else {
    conv_gather_cells(params, input, top, left, patch);
  }
}

/* Where an output position's patch begins in the input. */
typedef struct {
  int32_t top, left;
  uint32_t columns; /* that are left in this row of the output */
} conv_cursor;

static inline conv_cursor conv_begin(const mltk_conv_s8_params *params) {
  const conv_cursor cursor = {-(int32_t)params->pad_top, -(int32_t)params->pad_left, params->out_w};
  return cursor;
}

static inline void conv_next(const mltk_conv_s8_params *params, conv_cursor *cursor) {
  cursor->left += params->stride_w;
  if (--cursor->columns == 0) {
    cursor->columns = params->out_w;
    cursor->left = -(int32_t)params->pad_left;
    cursor->top += params->stride_h;
  }
}

/* Its rows lie in the input, each in one piece. */
static inline int conv_is_inside(const mltk_conv_s8_params *params, conv_cursor at) {
  const int32_t bottom = at.top + (params->kernel_h - 1) * params->dilation_h;
  return at.left >= 0 && at.top >= 0 && at.left + params->kernel_w <= params->in_w && bottom < params->in_h &&
         params->dilation_w == 1;
}

/* Its first cell, if that lies in the input. */
static inline const int8_t *conv_corner(const mltk_conv_s8_params *params, const int8_t *input, conv_cursor at) {
  return input + ((size_t)at.top * params->in_w + (size_t)at.left) * params->in_c;
}

/* The patch of an output position: in the input itself where it is one cell, else gathered into `patch`. */
static inline const int8_t *conv_patch_at(const mltk_conv_s8_params *params, const int8_t *input, uint32_t position,
                                          int8_t *patch) {
  const int32_t top = (int32_t)(position / params->out_w) * params->stride_h - params->pad_top;
  const int32_t left = (int32_t)(position % params->out_w) * params->stride_w - params->pad_left;
  if (params->kernel_h == 1 && params->kernel_w == 1) {
    /* Nothing of it can be padding: a kernel of one cell never reaches beyond the input. */
    return input + ((size_t)top * params->in_w + (size_t)left) * params->in_c;
  }
  conv_gather_patch(params, input, top, left, patch);
  return patch;
}

#endif /* MLTK_CONV_PATCH_H_ */
