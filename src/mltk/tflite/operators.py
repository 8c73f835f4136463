"""Can the operators of a checked graph be run one after the other? Asked before an interpreter gets the
model.

LiteRT checks most of an operator's inputs itself, and reads through a null pointer for what it does not
check.
"""

from typing import Any

from mltk.tflite.checks import GraphError
from mltk.tflite.layers import opcode_name

# The inputs that an operator does without (index -1): biases, and an LSTM's gates, peepholes and projections.
_LSTM_OPTIONAL = {1, 5, 9, 10, 11, 12, 16, 17, 20, 21, 22, 23}
OPTIONAL_INPUTS: dict[str, set[int]] = {
    "conv_2d": {2},
    "depthwise_conv_2d": {2},
    "fully_connected": {2},
    "transpose_conv": {3},
    "svdf": {2},
    "lstm": _LSTM_OPTIONAL,
    "unidirectional_sequence_lstm": _LSTM_OPTIONAL,
}


def check_runnable(model: Any) -> None:
    """Check that every operator has its inputs, and that each of them is there before it is read.

    Args:
        model: the schema's `ModelT`, after `check_graph`.

    Raises:
        GraphError: the first contradiction that was found.

    """
    for graph in model.subgraphs:
        _check_flow(model, graph)


def _check_flow(model: Any, graph: Any) -> None:
    tensors = graph.tensors or []
    constant = {index for index, tensor in enumerate(tensors) if _has_data(model, tensor)}
    variable = {index for index, tensor in enumerate(tensors) if tensor.isVariable}
    given = {int(index) for index in graph.inputs}
    if given & (constant | variable):
        raise GraphError(f"its input {min(given & (constant | variable))} is a constant or a variable")
    known = constant | variable | given
    for index, operator in enumerate(graph.operators or []):
        name = opcode_name(model.operatorCodes[operator.opcodeIndex])
        inputs = [] if operator.inputs is None else [int(i) for i in operator.inputs]
        outputs = [] if operator.outputs is None else [int(i) for i in operator.outputs]
        missing = [place for place, tensor in enumerate(inputs) if tensor < 0]
        if set(missing) - OPTIONAL_INPUTS.get(name, set()):
            raise GraphError(f"its operator {index} ({name}) lacks the input {missing[0]}")
        early = [tensor for tensor in inputs if tensor >= 0 and tensor not in known]
        if early:
            raise GraphError(
                f"its operator {index} ({name}) reads the tensor {early[0]} before it is computed"
            )
        if not outputs or set(outputs) & known or len(set(outputs)) != len(outputs):
            raise GraphError(f"its operator {index} ({name}) has no output, or writes over another tensor")
        known |= set(outputs)
    unknown = [int(index) for index in graph.outputs if index not in known]
    if unknown:
        raise GraphError(f"its output {unknown[0]} is never computed")


def _has_data(model: Any, tensor: Any) -> bool:
    data = model.buffers[tensor.buffer].data
    # A constant may be empty, such as the shape of a scalar: zero elements need no bytes.
    return (data is not None and len(data) > 0) or (tensor.buffer != 0 and _is_empty(tensor))


def _is_empty(tensor: Any) -> bool:
    return tensor.shape is not None and any(size == 0 for size in tensor.shape)
