"""Real factors as the kernels take them: TensorFlow Lite's int32 multipliers, shifts and activation ranges.

Source: TensorFlow Lite's 8-bit quantization specification,
https://ai.google.dev/edge/litert/models/quantization_spec; checked against TFLM in tests/kernels.
"""

import math

from mltk.tflite import schema
from mltk.tflite.layers import TfliteTensor

LOWEST, HIGHEST = -128, 127


def quantize_multiplier(factor: float) -> tuple[int, int]:
    """Return (multiplier, shift) with factor ~ multiplier * 2**(shift - 31).

    The multiplier is 0 or in [2**30, 2**31): a factor below 2**-32 becomes 0, one of 2**30 or more saturates.
    """
    if factor == 0.0:
        return 0, 0
    fraction, shift = math.frexp(factor)
    multiplier = round_half_away(fraction * 2**31)
    if multiplier == 2**31:
        multiplier //= 2
        shift += 1
    if shift < -31:
        return 0, 0
    if shift > 30:
        return 2**31 - 1, 30
    return multiplier, shift


def round_half_away(value: float) -> int:
    """Round as C's round(): a half away from zero."""
    return int(math.copysign(math.floor(abs(value) + 0.5), value))


def activation_range(activation: int, tensor: TfliteTensor) -> tuple[int, int]:
    """Return the lowest and highest int8 value that a fused activation lets through.

    Args:
        activation: the schema's ActivationFunctionType.
        tensor: the output.

    Raises:
        ValueError: the activation is none of none, ReLU, ReLU -1 to 1 and ReLU 6.

    """
    name = schema.enum_name("ActivationFunctionType", activation)
    real = {
        "NONE": (None, None),
        "RELU": (0.0, None),
        "RELU_N1_TO_1": (-1.0, 1.0),
        "RELU6": (0.0, 6.0),
    }.get(name)
    if real is None:
        raise ValueError(f"the fused activation {name.lower()}")

    def quantized(value: float) -> int:
        return tensor.zero_point + round_half_away(value / tensor.scale)

    lowest = LOWEST if real[0] is None else max(LOWEST, min(HIGHEST, quantized(real[0])))
    highest = HIGHEST if real[1] is None else max(LOWEST, min(HIGHEST, quantized(real[1])))
    return lowest, highest
