"""How much arithmetic an operator does: the counts behind "Total MACs" and "Total OPs" of a summary.

The published summaries of seven models (micro_speech: 336.000 k MACs, 680.012 k OPs; alexa: 4.562 M, 9.247 M)
fix these rules:

- convolutions and fully connected layers: a MAC is 2 operations, plus 1 an output for the bias; a fused
  activation is free;
- average pooling: the filter's area plus 1 (the division) an output; max pooling: the filter's area an
  output;
- quantize: 4 an element; dequantize and softmax: 2 an element; logistic: 0;
- reshape and element-wise arithmetic: 1 an output.

The published models have no recurrent layer and no reductions. There our own rule stands: an LSTM's eight
matrices give the MACs, with 2 operations each plus 13 a cell and step for biases, activations and state; a
reduction is 1 an input. Anything else is 0.
"""

from typing import Any

from mltk.tflite.layers import TfliteTensor

_ONE_AN_OUTPUT = {
    *(
        "reshape",
        "add",
        "sub",
        "mul",
        "div",
        "squared_difference",
        "maximum",
        "minimum",
        "relu",
        "relu6",
        "leaky_relu",
    ),
    *("rsqrt", "sqrt", "square", "abs", "neg", "exp", "log", "pow", "floor", "hard_swish", "prelu"),
}
_ONE_AN_INPUT = {"mean", "sum", "reduce_max", "reduce_min", "reduce_prod"}
_LSTM_CELL_OPS = 13


def count_macs(name: str, inputs: tuple[TfliteTensor | None, ...], outputs: tuple[TfliteTensor, ...]) -> int:
    """Return the multiply-accumulate operations of one inference.

    Args:
        name: the operator in lower case.
        inputs: its inputs; the second is the weights.
        outputs: its outputs.

    """
    weights = inputs[1] if len(inputs) > 1 else None
    if weights is None or not outputs:
        return 0
    shape, output = weights.shape, outputs[0].size
    macs = 0
    if name == "conv_2d" and len(shape) == 4:  # [out, height, width, in]
        macs = output * shape[1] * shape[2] * shape[3]
    elif name == "depthwise_conv_2d" and len(shape) == 4:  # [1, height, width, out]
        macs = output * shape[1] * shape[2]
    elif name == "fully_connected" and len(shape) == 2:  # [out, in]
        macs = output * shape[1]
    elif name == "transpose_conv" and len(shape) == 4 and len(inputs) > 2 and inputs[2] is not None:
        macs = inputs[2].size * shape[0] * shape[1] * shape[2]  # [out, height, width, in]
    elif name == "unidirectional_sequence_lstm" and shape and shape[0]:
        matrices = sum(tensor.size for tensor in inputs[1:9] if tensor is not None)
        macs = matrices * (output // shape[0])  # the outputs are [batch, step, cell]
    return macs


def count_ops(
    name: str,
    inputs: tuple[TfliteTensor | None, ...],
    outputs: tuple[TfliteTensor, ...],
    options: dict[str, Any],
) -> int:
    """Return all arithmetic operations of one inference, 2 a MAC."""
    macs = count_macs(name, inputs, outputs)
    output = outputs[0].size if outputs else 0
    area = int(options.get("filter_width", 0)) * int(options.get("filter_height", 0))
    first = inputs[0].size if inputs and inputs[0] is not None else 0
    rules = {
        "average_pool_2d": output * (area + 1),
        "max_pool_2d": output * area,
        "quantize": 4 * output,
        "dequantize": 2 * output,
        "softmax": 2 * output,
        "unidirectional_sequence_lstm": 2 * macs + _LSTM_CELL_OPS * output,
        **dict.fromkeys(
            ("conv_2d", "depthwise_conv_2d", "fully_connected", "transpose_conv"), 2 * macs + output
        ),
        **dict.fromkeys(_ONE_AN_OUTPUT, output),
        **dict.fromkeys(_ONE_AN_INPUT, first),
    }
    return rules.get(name, 0)
