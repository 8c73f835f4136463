/* The int8 kernels: one inference is a list of calls to these, put together ahead of time by mltk's compiler.
 *
 * The same files run in Python and on the chip: C99, no heap, no I/O, no global state, no floating point but in the two
 * kernels that convert from and to it. The caller owns all memory. A kernel trusts its parameters: the compiler has
 * checked every shape against every buffer, so nothing is left to fail at run time and kernels return nothing.
 *
 * What they compute is what TensorFlow Lite Micro's reference kernels compute, bit for bit. Source: TensorFlow Lite's
 * 8-bit quantization specification, https://ai.google.dev/edge/litert/models/quantization_spec, and the int8 kernels of
 * tflite-micro as measured (tests/kernels).
 *
 * Conventions:
 *   - A kernel is mltk_NAME(params, inputs..., outputs...[, scratch]); its constants are in mltk_NAME_params.
 *   - A kernel that needs scratch has a sizing twin mltk_NAME_scratch_bytes(params). Scratch is aligned to 4 bytes.
 *   - Biases have the input's zero point folded in: bias[o] - zero_point * sum(weights[o]); a cell of padding holds the
 *     zero point, so that it adds nothing.
 *   - A kernel may have several forms, a file each (conv_s8.c, conv_s8_dsp.c): the same prototype and results, other
 *     instructions, perhaps another layout of the weights. The compiler picks one file for a target.
 *   - A real factor is multiplier * 2^(shift - 31), multiplier in [2^30, 2^31) or 0.
 */
#ifndef MLTK_NN_H_
#define MLTK_NN_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- Convolutions ---------------------------------------------------------------------------------------------------
 * Tensors are [batches][height][width][channels]. */

typedef struct {
  const void *weights;        /* int8_t, or words of them where a form of the kernel says so */
  const int32_t *bias;        /* [out_c] */
  const int32_t *multipliers; /* [out_c] */
  const int8_t *shifts;       /* [out_c] */
  uint16_t batches;
  uint16_t in_h, in_w, in_c;
  uint16_t out_h, out_w, out_c;
  uint16_t kernel_h, kernel_w;
  uint16_t stride_h, stride_w;
  uint16_t dilation_h, dilation_w;
  uint16_t pad_top, pad_left;
  int8_t in_zero, out_zero;
  int8_t out_min, out_max; /* the fused activation */
} mltk_conv_s8_params;

void mltk_conv_s8(const mltk_conv_s8_params *params, const int8_t *input, int8_t *output, void *scratch);
size_t mltk_conv_s8_scratch_bytes(const mltk_conv_s8_params *params);

/* out_c is a multiple of in_c: the depth multiplier. */
void mltk_depthwise_conv_s8(const mltk_conv_s8_params *params, const int8_t *input, int8_t *output, void *scratch);
size_t mltk_depthwise_conv_s8_scratch_bytes(const mltk_conv_s8_params *params);

/* --- Fully connected -----------------------------------------------------------------------------------------------
 */

typedef struct {
  const void *weights;        /* int8_t, or words of them where a form of the kernel says so */
  const int32_t *bias;        /* [out_c] */
  const int32_t *multipliers; /* [out_c] */
  const int8_t *shifts;       /* [out_c] */
  uint32_t rows;              /* input [rows][in_c], output [rows][out_c] */
  uint32_t in_c, out_c;
  int8_t out_zero, out_min, out_max;
} mltk_fully_connected_s8_params;

void mltk_fully_connected_s8(const mltk_fully_connected_s8_params *params, const int8_t *input, int8_t *output);

/* --- Activations ---------------------------------------------------------------------------------------------------
 */

typedef struct {
  int32_t multiplier; /* beta * input scale, in units of 2^-26 */
  int8_t shift;
  int16_t difference_min; /* of an input to its row's largest: below, its posterior is 0 */
  uint32_t rows, depth;
} mltk_softmax_s8_params;

void mltk_softmax_s8(const mltk_softmax_s8_params *params, const int8_t *input, int8_t *output);

/* --- Moving values --------------------------------------------------------------------------------------------------
 */

enum { MLTK_COPY_MAX_DIMS = 6 };

/* For all i[d] < extents[d]: run_bytes bytes from input_start + sum(i[d] * input_strides[d]) go to output_start +
 * sum(i[d] * output_strides[d]). Everything counts bytes. */
typedef struct {
  const uint32_t *extents;       /* [dims], the outermost dimension first */
  const int32_t *input_strides;  /* [dims]; negative where a slice goes backwards */
  const int32_t *output_strides; /* [dims] */
  uint32_t dims;                 /* 1 to MLTK_COPY_MAX_DIMS */
  uint32_t run_bytes;            /* that lie side by side in both */
  int32_t input_start, output_start;
} mltk_copy_params;

void mltk_copy(const mltk_copy_params *params, const void *input, void *output);

typedef struct {
  uint32_t n_bytes;
  uint8_t value;
} mltk_fill_params;

void mltk_fill(const mltk_fill_params *params, void *output);

#ifdef __cplusplus
}
#endif

#endif /* MLTK_NN_H_ */
