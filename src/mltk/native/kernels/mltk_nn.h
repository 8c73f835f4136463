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

/* --- Pooling ---------------------------------------------------------------------------------------------------------
 * Tensors are [batches][height][width][channels]; input and output have the same scale and zero point. */

typedef struct {
  uint16_t batches;
  uint16_t in_h, in_w, channels;
  uint16_t out_h, out_w;
  uint16_t kernel_h, kernel_w;
  uint16_t stride_h, stride_w;
  uint16_t pad_top, pad_left;
  int8_t out_min, out_max; /* the fused activation */
} mltk_pool_s8_params;

void mltk_average_pool_s8(const mltk_pool_s8_params *params, const int8_t *input, int8_t *output);
void mltk_max_pool_s8(const mltk_pool_s8_params *params, const int8_t *input, int8_t *output);

typedef struct {
  int32_t multiplier;                    /* divides by the number of values too: in (2^29, 2^31) or 0 */
  int32_t offset;                        /* minus the input's zero point for each value */
  uint32_t kept_sizes[2], kept_steps[2]; /* the output's dimensions, and how far their values are apart in the input */
  uint32_t mean_sizes[2], mean_steps[2]; /* the same of the dimensions that are averaged over */
  int8_t shift, out_zero;
} mltk_mean_s8_params;

void mltk_mean_s8(const mltk_mean_s8_params *params, const int8_t *input, int8_t *output);

/* --- Two tensors, value by value
 * --------------------------------------------------------------------------------------- The output may be an input's
 * memory if that input has the output's size. */

/* How two inputs make up one output: its dimensions, the outermost first, filled up with ones in front, and how far
 * each input goes on in each of them; 0: it is repeated. */
typedef struct {
  uint32_t sizes[4];
  uint32_t first_steps[4], second_steps[4];
} mltk_broadcast;

typedef struct {
  mltk_broadcast shape;
  int32_t first_factor; /* 2^19 or, where it is subtracted, minus that; `first` has the larger scale */
  int32_t offset;       /* minus the first input's zero point by its factor */
  int32_t second_high;  /* the second input's multiplier: its upper 15 bits by 2^5 */
  int32_t second_low;   /* and its lower 16 */
  int32_t out_multiplier;
  int8_t second_zero, second_right; /* shifts to the right, 0 to 30 */
  int8_t second_sign;               /* 1, or -1 where it is subtracted */
  int8_t out_right, out_zero, out_min, out_max;
} mltk_add_s8_params;

void mltk_add_s8(const mltk_add_s8_params *params, const int8_t *first, const int8_t *second, int8_t *output);

typedef struct {
  mltk_broadcast shape;
  int32_t multiplier;
  int8_t shift, first_zero, second_zero, out_zero, out_min, out_max;
} mltk_mul_s8_params;

void mltk_mul_s8(const mltk_mul_s8_params *params, const int8_t *first, const int8_t *second, int8_t *output);

typedef struct {
  mltk_broadcast shape;
  int32_t second_multiplier, out_multiplier; /* `first` has the larger scale */
  int8_t second_shift, out_shift, first_zero, second_zero, out_zero;
} mltk_squared_difference_s8_params;

void mltk_squared_difference_s8(const mltk_squared_difference_s8_params *params, const int8_t *first,
                                const int8_t *second, int8_t *output);

/* --- Activations ---------------------------------------------------------------------------------------------------
 */

typedef struct {
  int32_t multiplier; /* beta * input scale, in units of 2^-26 */
  int8_t shift;
  int16_t difference_min; /* of an input to its row's largest: below, its posterior is 0 */
  uint32_t rows, depth;
} mltk_softmax_s8_params;

void mltk_softmax_s8(const mltk_softmax_s8_params *params, const int8_t *input, int8_t *output);

/* A function of one value: logistic, tanh, ReLU and the like, another scale. In place if wanted. */
typedef struct {
  const int8_t *table; /* [256], in the order 0 to 127, -128 to -1 */
  uint32_t count;
} mltk_lookup_s8_params;

void mltk_lookup_s8(const mltk_lookup_s8_params *params, const int8_t *input, int8_t *output);

/* --- From and to floating point --------------------------------------------------------------------------------------
 */

typedef struct {
  float scale;
  uint32_t count;
  int8_t out_zero;
} mltk_quantize_f32_s8_params;

void mltk_quantize_f32_s8(const mltk_quantize_f32_s8_params *params, const float *input, int8_t *output);

typedef struct {
  float scale;
  uint32_t count;
  int8_t in_zero;
} mltk_dequantize_s8_f32_params;

void mltk_dequantize_s8_f32(const mltk_dequantize_s8_f32_params *params, const int8_t *input, float *output);

/* --- Recurrent ------------------------------------------------------------------------------------------------------
 * Input [batches][steps][in_c], output [batches][steps][units]. Gates in the order input, forget, cell, output. */

typedef struct {
  const void *weights;           /* int8_t, or words of them where a form of the kernel says so */
  const int32_t *bias;           /* [units][8]: of the gates' sums over the input, then over the previous output */
  const int32_t *multipliers;    /* [8], of the same sums */
  const int8_t *shifts;          /* [8] */
  const uint16_t *sigmoid_table; /* [256]: sigmoid(i / 24) in units of 2^-16 */
  uint16_t batches, steps, in_c, units;
  int32_t hidden_multiplier; /* from output gate * tanh(cell state) to the output */
  int32_t tanh_multiplier;   /* with the next: from a cell state to the table's units */
  int8_t tanh_right_shift;
  int8_t hidden_shift, hidden_zero;
  int8_t candidate_shift;     /* from input gate * cell gate to a cell state */
  int16_t cell_min, cell_max; /* the cell clip */
} mltk_lstm_s8_params;

void mltk_lstm_s8(const mltk_lstm_s8_params *params, const int8_t *input, int8_t *output, void *scratch);
size_t mltk_lstm_s8_scratch_bytes(const mltk_lstm_s8_params *params);

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
