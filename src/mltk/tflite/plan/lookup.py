"""Functions of one int8 value: each becomes a table of 256 bytes, the same kernel for all."""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from mltk.tflite.layers import TfliteLayer, TfliteTensor
from mltk.tflite.plan.fixed_functions import (
    divide_by_power,
    inverse_sqrt,
    logistic,
    requantize,
    tanh,
)
from mltk.tflite.plan.fixed_point import HIGHEST, LOWEST, quantize_multiplier, round_half_away
from mltk.tflite.plan.lowering import Lowering, byte_tensor, int8_tensor, need, tensor_at
from mltk.tflite.plan.steps import Constants

# Of the inputs of logistic and tanh, as TensorFlow Lite has them.
_INTEGER_BITS = 4
# Between the two factors of rsqrt.
_RSQRT_BITS = 20


def clamp(value: int, lowest: int = LOWEST, highest: int = HIGHEST) -> int:
    """Return the nearest value of a range."""
    return max(lowest, min(highest, value))


def add_lookup(
    lowering: Lowering,
    layer: TfliteLayer,
    source: TfliteTensor,
    output: TfliteTensor,
    function: Callable[[int], int],
) -> None:
    """Add a call that applies a function from int8 to int8 to every value of a tensor."""
    need(source.size == output.size, "its input and output have different shapes")
    need(source.size >= 1, "its input is empty")
    params: Constants = {"table": table(function), "count": source.size}
    lowering.add(layer, "mltk_lookup_s8", params, [source], [output], in_place=True)


def table(function: Callable[[int], int]) -> npt.NDArray[np.int8]:
    """Return a function's values for 0 to 127 and -128 to -1: in the order of the bytes."""
    return np.array([function(value) for value in (*range(128), *range(-128, 0))], np.int8)


def lower_logistic(lowering: Lowering, layer: TfliteLayer) -> None:
    """Logistic function; int8 with scale 1/256 and zero point -128."""
    source, output = _ends(layer)
    need(
        output.zero_point == LOWEST and output.scale == 1 / 256,
        "its output has not the scale 1/256 and zero point -128",
    )

    def posterior(x: int) -> int:
        return clamp(divide_by_power(logistic(x), 31 - 8) + LOWEST)

    add_lookup(lowering, layer, source, output, _saturating(source, posterior))


def lower_tanh(lowering: Lowering, layer: TfliteLayer) -> None:
    """Hyperbolic tangent; int8 with scale 1/128 and zero point 0."""
    source, output = _ends(layer)
    need(
        output.zero_point == 0 and output.scale == 1 / 128,
        "its output has not the scale 1/128 and zero point 0",
    )
    add_lookup(
        lowering,
        layer,
        source,
        output,
        _saturating(source, lambda x: clamp(divide_by_power(tanh(x), 31 - 7))),
    )


def _saturating(source: TfliteTensor, function: Callable[[int], int]) -> Callable[[int], int]:
    """Return a function of a tensor's values that is at its ends where the fixed point ends.

    Args:
        source: the tensor.
        function: of the real value with 27 fractional bits.

    """
    fraction_bits = 31 - _INTEGER_BITS
    need(
        2.0**-fraction_bits <= source.scale <= 2**_INTEGER_BITS, "its input's scale is too small or too large"
    )
    multiplier, shift = quantize_multiplier(source.scale * 2.0**fraction_bits)
    # 0 for scales of 8 and more, where TFLM takes zero itself for a negative number.
    power = math.frexp(source.scale)[1] + fraction_bits
    radius = math.floor((2**_INTEGER_BITS - 1) * 2.0 ** (fraction_bits - power))

    def value(x: int) -> int:
        x -= source.zero_point
        if x <= -radius:
            return LOWEST
        if x >= radius:
            return HIGHEST
        return function(requantize(x, multiplier, shift))

    return value


def lower_relu(lowering: Lowering, layer: TfliteLayer) -> None:
    """max(x, 0), to the output's scale."""
    source, output = _ends(layer)
    add_lookup(lowering, layer, source, output, _rescaling(source, output, max(LOWEST, output.zero_point)))


def lower_relu6(lowering: Lowering, layer: TfliteLayer) -> None:
    """min(max(x, 0), 6); input and output have the same scale: TensorFlow Lite Micro only clamps."""
    source, output = _ends(layer)
    _need_same_scale(source, output)
    six = source.zero_point + round_half_away(float(np.float32(6) / np.float32(source.scale)))
    add_lookup(
        lowering,
        layer,
        source,
        output,
        lambda x: clamp(x, source.zero_point, min(HIGHEST, six)),
    )


def lower_requantize(lowering: Lowering, layer: TfliteLayer) -> None:
    """Quantize between int8 and int8 or uint8: another scale and zero point. Of uint8 to uint8 TFLM knows nothing."""
    source, output = tensor_at(layer, 0), layer.outputs[0]
    types = (source.type_name, output.type_name)
    need(
        types in (("int8", "int8"), ("uint8", "int8"), ("int8", "uint8")),
        f"it makes {types[1]} of {types[0]}",
    )
    for tensor, what in ((source, "input"), (output, "output")):
        byte_tensor(tensor, what)
    rescale = _rescaling(source, output, LOWEST if types[1] == "int8" else 0)
    mask = 0xFF if types[0] == "uint8" else -1
    add_lookup(lowering, layer, source, output, lambda x: _as_int8(rescale(x & mask)))


def _as_int8(byte: int) -> int:
    """Return the int8 with the same bits as a uint8, or an int8 itself."""
    return byte - 256 if byte > HIGHEST else byte


def _rescaling(source: TfliteTensor, output: TfliteTensor, lowest: int) -> Callable[[int], int]:
    """Return a function from a tensor's values to another's scale and zero point, not below `lowest`."""
    factor = source.scale / output.scale
    need(factor < 2.0**22, "its scales do not fit each other")
    multiplier, shift = quantize_multiplier(factor)
    highest = HIGHEST if output.type_name == "int8" else 255
    return lambda x: clamp(
        requantize(x - source.zero_point, multiplier, shift) + output.zero_point, lowest, highest
    )


def lower_rsqrt(lowering: Lowering, layer: TfliteLayer) -> None:
    """1 / sqrt(x) for x >= 0; TensorFlow Lite Micro fails where x < 0, here the result is the highest value."""
    source, output = _ends(layer)
    factor = 1 / (math.sqrt(source.scale) * output.scale)
    need(2.0**-11 <= factor < 2.0**30, "its scales do not fit each other")
    multiplier, shift = quantize_multiplier(factor)

    def value(x: int) -> int:
        if x <= source.zero_point:
            return HIGHEST
        root_multiplier, root_shift = inverse_sqrt(x - source.zero_point)
        root = requantize(1, root_multiplier, root_shift + _RSQRT_BITS)
        return clamp(requantize(root, multiplier, shift - _RSQRT_BITS) + output.zero_point)

    add_lookup(lowering, layer, source, output, value)


def _ends(layer: TfliteLayer) -> tuple[TfliteTensor, TfliteTensor]:
    return int8_tensor(tensor_at(layer, 0), "input"), int8_tensor(layer.outputs[0], "output")


def _need_same_scale(source: TfliteTensor, output: TfliteTensor) -> None:
    need(
        source.scale == output.scale and source.zero_point == output.zero_point,
        "its input and output have different scales",
    )
