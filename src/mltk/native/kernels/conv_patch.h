/* What all forms of the convolution share: the part of the input that one output position looks at. */
#ifndef MLTK_CONV_PATCH_H_
#define MLTK_CONV_PATCH_H_

#include "mltk_nn.h"

/* Values of one patch, filled up to whole words. */
static inline size_t conv_patch_size(const mltk_conv_s8_params *params) {
  return ((size_t)params->kernel_h * params->kernel_w * params->in_c + 3u) / 4u * 4u;
}

/* Room for an int8 patch and two int16 ones: enough for every form, so that one plan serves them all. */
static inline size_t conv_scratch_bytes(const mltk_conv_s8_params *params) { return 5u * conv_patch_size(params); }

/* Four bytes from and to any address where the processor can; no call of memcpy: most rows have a few bytes only. */
static inline int8_t *conv_copy(int8_t *target, const int8_t *source, size_t count) {
#if defined(__GNUC__) && (defined(__ARM_FEATURE_UNALIGNED) || !defined(__arm__))
  for (; count >= 4; count -= 4, target += 4, source += 4) __builtin_memcpy(target, source, 4);
#endif
  for (; count > 0; --count) *target++ = *source++;
  return target;
}

static inline int8_t *conv_fill(int8_t *target, int8_t value, size_t count) {
#if defined(__GNUC__) && (defined(__ARM_FEATURE_UNALIGNED) || !defined(__arm__))
  const uint32_t four = (uint8_t)value * 0x01010101u;
  for (; count >= 4; count -= 4, target += 4) __builtin_memcpy(target, &four, 4);
#endif
  for (; count > 0; --count) *target++ = value;
  return target;
}

/* The patch whose first cell is (top, left), [kernel_h][kernel_w][in_c], with the zero point where it leaves the input.
 */
static inline void conv_gather_patch(const mltk_conv_s8_params *params, const int8_t *input, int32_t top, int32_t left,
                                     int8_t *patch) {
  /* Copies, because a store of int8 may change anything for all that C knows. */
  const int32_t in_h = params->in_h, in_w = params->in_w, kernel_w = params->kernel_w;
  const int32_t dilation_h = params->dilation_h, dilation_w = params->dilation_w;
  const size_t in_c = params->in_c;
  const int8_t zero = params->in_zero;
  /* Cells of a row before, in and after the input; a dilated row goes cell by cell. */
  const int32_t before = left >= 0 ? 0 : -left < kernel_w ? -left : kernel_w;
  const int32_t end = in_w - left < kernel_w ? (in_w - left > before ? in_w - left : before) : kernel_w;
  for (int32_t ky = params->kernel_h, y = top; ky > 0; --ky, y += dilation_h) {
    if (y < 0 || y >= in_h) {
      patch = conv_fill(patch, zero, (size_t)kernel_w * in_c);
    } else if (dilation_w == 1) {
      const int8_t *row = input + (size_t)y * (size_t)in_w * in_c;
      patch = conv_fill(patch, zero, (size_t)before * in_c);
      patch = conv_copy(patch, row + (size_t)(left + before) * in_c, (size_t)(end - before) * in_c);
      patch = conv_fill(patch, zero, (size_t)(kernel_w - end) * in_c);
    } else {
      const int8_t *row = input + (size_t)y * (size_t)in_w * in_c;
      for (int32_t kx = kernel_w, x = left; kx > 0; --kx, x += dilation_w) {
        const int inside = x >= 0 && x < in_w;
        patch = inside ? conv_copy(patch, row + (size_t)x * in_c, in_c) : conv_fill(patch, zero, in_c);
      }
    }
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
