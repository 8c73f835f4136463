"""The LSTM over a sequence, as Keras exports it: no peepholes, no projection, no layer normalization."""

import math

import numpy as np
import numpy.typing as npt

from mltk.tflite import schema
from mltk.tflite.layers import TfliteLayer, TfliteTensor
from mltk.tflite.plan.fixed_point import quantize_multiplier
from mltk.tflite.plan.lowering import (
    MOST_SIZE,
    Lowering,
    folded_bias,
    int8_tensor,
    need,
    requantization,
    tensor_at,
    weight_scales,
)
from mltk.tflite.plan.steps import Constants

# The operator's inputs: weights of the gates input, forget, cell and output, then their biases and the states.
_INPUT_WEIGHTS, _RECURRENT_WEIGHTS, _BIASES, _GATES = 1, 5, 12, 4
_HIDDEN_STATE, _CELL_STATE = 18, 19
_VARIANTS = {9: "peepholes", 16: "a projection", 20: "layer normalization"}
# Entries of the table, measured with TFLM's int16 logistic and tanh over all 65536 values (tests/kernels).
_RAISED = (
    *(
        4,
        8,
        12,
        14,
        15,
        16,
        17,
        19,
        20,
        21,
        22,
        25,
        27,
        28,
        29,
        30,
        31,
        33,
        34,
        35,
        37,
        39,
        40,
        41,
        43,
        44,
        45,
        46,
    ),
    *(49, 50, 54, 62, 63, 64, 66, 82, 86, 93, 100, 103, 112, 116, 135, 255),
)
_GATE_SCALE, _ACTIVATION_SCALE = 2.0**-12, 2.0**-15


def lower_lstm(lowering: Lowering, layer: TfliteLayer) -> None:
    """unidirectional_sequence_lstm in int8 with an int16 cell state; the state starts from zero each time."""
    source, output = int8_tensor(tensor_at(layer, 0), "input"), int8_tensor(layer.outputs[0], "output")
    need(
        len(source.shape) == 3 and len(output.shape) == 3, "its input or output is not [batch, steps, values]"
    )
    (batches, steps, in_c), units = source.shape, output.shape[2]
    need(output.shape[:2] == (batches, steps), "its output does not fit its input")
    if layer.options.get("time_major", False):
        # For one sequence [steps, batch, values] are the same bytes.
        need(steps == 1, "its input is [steps, batch, values] with more than one sequence")
        batches, steps = steps, batches
    need(max(source.shape + output.shape) <= MOST_SIZE, "it has a dimension above 65535")
    _check_variant(layer)
    hidden = int8_tensor(tensor_at(layer, _HIDDEN_STATE), "output state")
    need(
        (hidden.scale, hidden.zero_point) == (output.scale, output.zero_point),
        "its output state and output have different scales",
    )
    weights, biases, factors, bounds = [], [], [], []
    for first, tensor, size in ((_INPUT_WEIGHTS, source, in_c), (_RECURRENT_WEIGHTS, hidden, units)):
        for gate in range(_GATES):
            values, scale = _weights(lowering, tensor_at(layer, first + gate), units, size)
            bias = tensor_at(layer, _BIASES + gate) if tensor is source else None
            folded = folded_bias(lowering, bias, values.sum(axis=1, dtype=np.int64), tensor.zero_point, size)
            weights.append(values)
            biases.append(folded)
            bounds.append(int(np.abs(folded.astype(np.int64)).max()) + size * 2**14)
            # TensorFlow Lite multiplies the two scales as float32.
            factors.append(float(np.float32(tensor.scale) * np.float32(scale)) / _GATE_SCALE)
    scaling = requantization(factors)
    need(
        all(
            bound << max(0, int(shift)) < 2**31
            for bound, shift in zip(bounds, scaling["shifts"], strict=True)
        ),
        "its scales are too large",
    )
    gates_last = [np.stack(weights[first : first + _GATES], axis=-1) for first in (0, _GATES)]
    params: Constants = {
        "weights": np.concatenate(gates_last, axis=1).reshape(-1),
        "bias": np.stack(biases, axis=-1).reshape(-1),
        **scaling,
        "sigmoid_table": sigmoid_table(),
        **_cell(layer, hidden),
        **{"batches": batches, "steps": steps, "in_c": in_c, "units": units},
        "hidden_zero": hidden.zero_point,
    }
    lowering.add(layer, "mltk_lstm_s8", params, [source], [output])


def sigmoid_table() -> npt.NDArray[np.uint16]:
    """Return sigmoid(i / 24) for i = 0 to 255 in units of 2**-16: uint16 [256].

    Rounded but for the entries that TFLM has 1 higher, which makes up for lines lying below a bent curve.
    """
    table = np.floor(65536 / (1 + np.exp(-np.arange(256) / 24)) + 0.5)
    table[list(_RAISED)] += 1
    return table.astype(np.uint16)


def _check_variant(layer: TfliteLayer) -> None:
    for first, what in _VARIANTS.items():
        last = {9: 12, 16: 18, 20: 24}[first]
        need(all(tensor is None for tensor in layer.inputs[first:last]), f"it has {what}")
    options = layer.options
    need(not options.get("diagonal_recurrent_tensors", False), "its recurrent weights are diagonal")
    activation = schema.enum_name("ActivationFunctionType", int(options.get("fused_activation_function", 0)))
    need(activation == "TANH", f"its activation is {activation.lower()}, not tanh")


def _weights(
    lowering: Lowering, tensor: TfliteTensor, units: int, size: int
) -> tuple[npt.NDArray[np.int8], float]:
    """Return a gate's weights [units, size] and their scale."""
    need(tensor.type_name == "int8" and tensor.shape == (units, size), "its weights do not fit")
    return lowering.constant(tensor, "weights"), weight_scales(tensor, 1, axis=0)[0]


def _cell(layer: TfliteLayer, hidden: TfliteTensor) -> dict[str, int]:
    """Return the parameters of the int16 cell state and of what follows from it."""
    cell = tensor_at(layer, _CELL_STATE)
    need(cell.type_name == "int16" and len(cell.scales) == 1, "its cell state is not int16 with one scale")
    mantissa, exponent = math.frexp(cell.scale)
    power = exponent - 1
    need(
        mantissa == 0.5 and -15 <= power <= 0 and cell.zero_point == 0,
        "the scale of its cell state is no power of two from 2**-15 to 1",
    )
    clip = float(layer.options.get("cell_clip", 0.0))
    need(math.isfinite(clip), "its cell clip is not a number")
    highest = int(min(clip / cell.scale, 32767.0)) if clip > 0 else 32767
    multiplier, shift = quantize_multiplier(_ACTIVATION_SCALE * _ACTIVATION_SCALE / hidden.scale)
    need(shift <= 0, "the scale of its output is too small")
    # The tanh's argument is 3 * 2**12 * the state's real value.
    left = 12 + power
    return {
        "hidden_multiplier": multiplier,
        "hidden_shift": shift,
        # 2**-15 * 2**-15 / 2**power as a multiplier of 2**30, a half.
        "candidate_shift": -30 - power + 1,
        "tanh_multiplier": 3 << max(0, left),
        "tanh_right_shift": max(0, -left),
        "cell_min": -highest if clip > 0 else -32768,
        "cell_max": highest,
    }
