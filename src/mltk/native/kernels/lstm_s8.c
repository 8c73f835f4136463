/* LSTM over a sequence, reference form: weights [units][in_c + units][4 gates], so that a value is read once for all
 * four gates. The state starts from zero at each call. */
#include "lstm_cell.h"

static const int8_t *add_products(const int8_t *weights, const int8_t *values, uint32_t count, int32_t *sums) {
  int32_t in = sums[LSTM_INPUT_GATE], forget = sums[LSTM_FORGET_GATE];
  int32_t cell = sums[LSTM_CELL_GATE], out = sums[LSTM_OUTPUT_GATE];
  for (; count > 0; --count, weights += LSTM_GATES) {
    const int32_t value = *values++;
    in += value * weights[LSTM_INPUT_GATE];
    forget += value * weights[LSTM_FORGET_GATE];
    cell += value * weights[LSTM_CELL_GATE];
    out += value * weights[LSTM_OUTPUT_GATE];
  }
  sums[LSTM_INPUT_GATE] = in;
  sums[LSTM_FORGET_GATE] = forget;
  sums[LSTM_CELL_GATE] = cell;
  sums[LSTM_OUTPUT_GATE] = out;
  return weights;
}

static void step(const mltk_lstm_s8_params *params, const int8_t *input, const int8_t *previous, int8_t *output,
                 int16_t *cells) {
  const int8_t *weights = (const int8_t *)params->weights;
  const int32_t *bias = params->bias;
  const uint32_t units = params->units, in_c = params->in_c;
  for (uint32_t unit = 0; unit < units; ++unit, bias += 2 * LSTM_GATES) {
    int32_t input_sums[LSTM_GATES], recurrent_sums[LSTM_GATES] = {0, 0, 0, 0};
    for (int gate = 0; gate < LSTM_GATES; ++gate) input_sums[gate] = bias[gate];
    weights = add_products(weights, input, in_c, input_sums);
    if (previous) { /* before the first step the output is 0, and so are these sums */
      for (int gate = 0; gate < LSTM_GATES; ++gate) recurrent_sums[gate] = bias[LSTM_GATES + gate];
      (void)add_products(weights, previous, units, recurrent_sums);
    }
    weights += units * LSTM_GATES;
    output[unit] = lstm_finish(params, input_sums, recurrent_sums, &cells[unit]);
  }
}

void mltk_lstm_s8(const mltk_lstm_s8_params *params, const int8_t *input, int8_t *output, void *scratch) {
  int16_t *const cells = (int16_t *)scratch;
  for (uint32_t batch = params->batches; batch > 0; --batch) {
    const int8_t *previous = NULL;
    for (uint32_t unit = 0; unit < params->units; ++unit) cells[unit] = 0;
    for (uint32_t left = params->steps; left > 0; --left) {
      step(params, input, previous, output, cells);
      previous = output;
      input += params->in_c;
      output += params->units;
    }
  }
}

size_t mltk_lstm_s8_scratch_bytes(const mltk_lstm_s8_params *params) { return params->units * sizeof(int16_t); }
