/* What all forms of the LSTM share: from the sums of a unit's four gates to its new cell state and output.
 *
 * Gates and cell state are int16: a gate's argument has 12 fractional bits, its result 15, the cell state as many as
 * the model says. Source of the equations: Hochreiter and Schmidhuber, "Long Short-Term Memory", 1997; of the widths:
 * TensorFlow Lite's 8-bit quantization specification. */
#ifndef MLTK_LSTM_CELL_H_
#define MLTK_LSTM_CELL_H_

#include "fixed_point.h"
#include "mltk_nn.h"

enum { LSTM_INPUT_GATE, LSTM_FORGET_GATE, LSTM_CELL_GATE, LSTM_OUTPUT_GATE, LSTM_GATES };

static inline int32_t lstm_clamp_s16(int32_t x) { return x < INT16_MIN ? INT16_MIN : x > INT16_MAX ? INT16_MAX : x; }

/* The table is sigmoid(i / 24) in units of 2^-16, i = 0 to 255; between two entries it is a line. `x` is 3 * 2^12 times
 * the real argument; the result has 15 fractional bits. */
static inline int32_t lstm_sigmoid(const uint16_t *table, int32_t x) {
  const uint32_t magnitude = (uint32_t)(x < 0 ? -x : x), entry = magnitude >> 9;
  int32_t result = 0x7FFF << 10; /* beyond the table, 1 */
  if (entry < 255) {
    result = (table[entry] << 9) + (int32_t)(magnitude & 511u) * (table[entry + 1u] - table[entry]);
  }
  return (x >= 0 ? result + 512 : (1 << 25) - result + 511) >> 10;
}

/* tanh(x) = 2 * sigmoid(2 * x) - 1. */
static inline int32_t lstm_tanh(const uint16_t *table, int32_t x) {
  const uint32_t magnitude = (uint32_t)(x < 0 ? -x : x), entry = magnitude >> 8;
  int32_t result = 0xFFFF << 8;
  if (entry < 255) {
    result = (table[entry] << 8) + (int32_t)(magnitude & 255u) * (table[entry + 1u] - table[entry]);
  }
  result -= 1 << 23;
  return (x >= 0 ? result + 128 : 127 - result) >> 8;
}

/* The argument of a gate's function from its two sums. */
static inline int32_t lstm_gate(const mltk_lstm_s8_params *params, int gate, const int32_t *input_sums,
                                const int32_t *recurrent_sums) {
  const int32_t *const multipliers = params->multipliers;
  const int8_t *const shifts = params->shifts;
  const int32_t from_input = mltk_requantize(input_sums[gate], multipliers[gate], shifts[gate]);
  const int32_t from_recurrent =
      mltk_requantize(recurrent_sums[gate], multipliers[LSTM_GATES + gate], shifts[LSTM_GATES + gate]);
  return 3 * lstm_clamp_s16(lstm_clamp_s16(from_input) + lstm_clamp_s16(from_recurrent));
}

/* Update a unit's cell state and return its output. */
static inline int8_t lstm_finish(const mltk_lstm_s8_params *params, const int32_t *input_sums,
                                 const int32_t *recurrent_sums, int16_t *cell) {
  const int32_t half = 1 << 30; /* as a multiplier: products of two int16 are divided by a power of two */
  const uint16_t *const table = params->sigmoid_table;
  const int32_t in = lstm_sigmoid(table, lstm_gate(params, LSTM_INPUT_GATE, input_sums, recurrent_sums));
  const int32_t forget = lstm_sigmoid(table, lstm_gate(params, LSTM_FORGET_GATE, input_sums, recurrent_sums));
  const int32_t candidate = lstm_tanh(table, lstm_gate(params, LSTM_CELL_GATE, input_sums, recurrent_sums));
  const int32_t out = lstm_sigmoid(table, lstm_gate(params, LSTM_OUTPUT_GATE, input_sums, recurrent_sums));
  const int32_t kept = lstm_clamp_s16(mltk_requantize(forget * *cell, half, -14));
  const int32_t added = lstm_clamp_s16(mltk_requantize(in * candidate, half, params->candidate_shift));
  int32_t state = lstm_clamp_s16(kept + added);
  state = state < params->cell_min ? params->cell_min : state > params->cell_max ? params->cell_max : state;
  *cell = (int16_t)state;
  const int32_t right = params->tanh_right_shift;
  const int32_t argument = (state * params->tanh_multiplier + ((1 << right) >> 1)) >> right;
  const int32_t hidden =
      mltk_requantize(out * lstm_tanh(table, argument), params->hidden_multiplier, params->hidden_shift);
  return mltk_clamp_s8(hidden + params->hidden_zero, INT8_MIN, INT8_MAX);
}

#endif /* MLTK_LSTM_CELL_H_ */
