"""Softmax and the other activations that are operators of their own."""

import math

from mltk.tflite.layers import TfliteLayer
from mltk.tflite.plan.fixed_point import quantize_multiplier
from mltk.tflite.plan.lowering import Lowering, int8_tensor, need, tensor_at

_SOFTMAX_INTEGER_BITS = 5
_MOST_MULTIPLIER = 2.0**31 - 1


def lower_softmax(lowering: Lowering, layer: TfliteLayer) -> None:
    """Softmax over the last dimension; int8 scores with scale 1/256 and zero point -128."""
    source, output = int8_tensor(tensor_at(layer, 0), "input"), int8_tensor(layer.outputs[0], "output")
    need(
        source.shape == output.shape and len(source.shape) >= 1, "its input and output have different shapes"
    )
    need(
        output.zero_point == -128 and output.scale == 1 / 256,
        "its output has not the scale 1/256 and zero point -128",
    )
    beta = float(layer.options.get("beta", 1.0))
    factor = min(beta * source.scale * 2.0 ** (31 - _SOFTMAX_INTEGER_BITS), _MOST_MULTIPLIER)
    need(factor > 1, "its beta and input scale are too small")
    multiplier, shift = quantize_multiplier(factor)
    # The largest difference whose scaled value still has 5 integer bits.
    largest = math.floor((2**_SOFTMAX_INTEGER_BITS - 1) * 2.0 ** (31 - _SOFTMAX_INTEGER_BITS) / 2.0**shift)
    depth = source.shape[-1]
    need(1 <= depth <= 4096 and source.size >= 1, "its depth is outside of 1 to 4096")
    params = {
        "multiplier": multiplier,
        "shift": shift,
        "difference_min": max(-largest, -256),
        "rows": source.size // depth,
        "depth": depth,
    }
    lowering.add(layer, "mltk_softmax_s8", params, [source], [output])
