"""Which graphs an interpreter computes without any doubt: those of the common operators, put together
consistently.

LiteRT and TensorFlow Lite Micro take the shapes, types and scales of a file mostly for granted. Where these
fit as the rules here say, nothing is read or written outside. A graph that breaks a rule is not wrong, only
unknown: `trial.py` tries it in another process first.
"""

import math
from collections.abc import Callable, Iterable

from mltk.tflite.layers import TfliteLayer, TfliteTensor

MOST_STRIDE = 4096
# Fused activations that every kernel has: none, ReLU, ReLU -1 to 1, ReLU 6.
_ACTIVATIONS = {0, 1, 2, 3}
# The factors input scale * weight scale / output scale and input scale / output scale that the kernels are
# made for.
_PRODUCT_FACTORS = (2.0**-32, 2.0**8)
_SUM_FACTORS = (2.0**-10, 2.0**8)
# Softmax works with a fixed-point factor of beta * scale * 2**26, which the kernels take for granted to be
# above 1.
_SOFTMAX_SHIFT = 26
_POSTERIOR = (1 / 256, -128)


def is_vetted(layers: Iterable[TfliteLayer]) -> bool:
    """Tell whether every operator follows the rules."""
    return all(_is_known(layer) for layer in layers)


def _is_known(layer: TfliteLayer) -> bool:
    rule = RULES.get(layer.name)
    if rule is None or len(layer.outputs) != 1 or not layer.inputs or layer.inputs[0] is None:
        return False
    options = layer.options
    if options.get("fused_activation_function", 0) not in _ACTIVATIONS or options.get("padding", 0) not in (
        0,
        1,
    ):
        return False
    sizes = (
        "stride_w",
        "stride_h",
        "dilation_w_factor",
        "dilation_h_factor",
        "filter_width",
        "filter_height",
    )
    if not all(1 <= options.get(size, 1) <= MOST_STRIDE for size in sizes):
        return False
    tensors = [tensor for tensor in (*layer.inputs, *layer.outputs) if tensor is not None]
    return all(min(tensor.shape, default=1) >= 1 for tensor in tensors) and rule(layer)


def _window(layer: TfliteLayer, filter_hw: tuple[int, int], size_hw: tuple[int, int]) -> tuple[int, int]:
    """Return height and width of what a sliding window gives."""
    options = layer.options
    result = []
    for size, length, axis in zip(size_hw, filter_hw, ("h", "w"), strict=True):
        reach = (length - 1) * options.get(f"dilation_{axis}_factor", 1) + 1
        free = size if options["padding"] == 0 else size - reach + 1
        result.append(max(0, math.ceil(free / options[f"stride_{axis}"])))
    return result[0], result[1]


def _is_float(*tensors: TfliteTensor | None) -> bool:
    return all(tensor is None or tensor.type_name == "float32" for tensor in tensors)


def _is_int8(*tensors: TfliteTensor) -> bool:
    return all(
        tensor.type_name == "int8" and len(tensor.scales) == 1 and 0 < tensor.scale < math.inf
        for tensor in tensors
    )


def _factors_fit(numerators: Iterable[float], output: TfliteTensor, limits: tuple[float, float]) -> bool:
    return all(limits[0] <= numerator / output.scale < limits[1] for numerator in numerators)


def _weights_fit(layer: TfliteLayer, channels: int, axis: int) -> bool:
    """Check types, bias and scales of an operator that multiplies by weights."""
    source, weights, output = layer.inputs[0], layer.inputs[1], layer.outputs[0]
    if source is None or weights is None or weights.buffer == 0 or len(layer.inputs) > 3:
        return False
    bias = layer.inputs[2] if len(layer.inputs) == 3 else None
    if bias is None and layer.name == "depthwise_conv_2d":  # XNNPACK reads it unasked
        return False
    if bias is not None and (bias.shape != (channels,) or bias.buffer == 0):
        return False
    if _is_float(source, weights, bias, output):
        return True
    types_fit = weights.type_name == "int8" and (bias is None or bias.type_name == "int32")
    per_channel = (len(weights.scales), weights.quantized_dimension) == (channels, axis)
    scales_fit = not any(weights.zero_points) and (len(weights.scales) == 1 or per_channel)
    if not (types_fit and scales_fit and _is_int8(source, output)):
        return False
    return _factors_fit((source.scale * scale for scale in weights.scales), output, _PRODUCT_FACTORS)


def _conv_fits(layer: TfliteLayer) -> bool:
    if len(layer.inputs) < 2 or layer.inputs[1] is None or "stride_w" not in layer.options:
        return False
    source, weights, output = layer.inputs[0], layer.inputs[1], layer.outputs[0]
    if source is None or not len(source.shape) == len(weights.shape) == len(output.shape) == 4:
        return False
    depthwise = layer.name == "depthwise_conv_2d"
    channels = weights.shape[3 if depthwise else 0]
    if depthwise:
        fits = weights.shape[0] == 1 and channels == source.shape[3] * layer.options["depth_multiplier"]
    else:
        fits = weights.shape[3] == source.shape[3]
    height_width = _window(layer, (weights.shape[1], weights.shape[2]), (source.shape[1], source.shape[2]))
    expected = (source.shape[0], *height_width, channels)
    return fits and output.shape == expected and _weights_fit(layer, channels, 3 if depthwise else 0)


def _fully_connected_fits(layer: TfliteLayer) -> bool:
    if len(layer.inputs) < 2 or layer.inputs[1] is None or layer.options.get("weights_format", 0) != 0:
        return False
    source, weights, output = layer.inputs[0], layer.inputs[1], layer.outputs[0]
    if source is None or len(weights.shape) != 2 or not output.shape or len(source.shape) < 2:
        return False
    units, length = weights.shape
    if source.shape[-1] != length or output.shape[-1] != units:
        return False
    return output.size * length == source.size * units and _weights_fit(layer, units, 0)


def _pool_fits(layer: TfliteLayer) -> bool:
    source, output = layer.inputs[0], layer.outputs[0]
    if source is None or len(layer.inputs) != 1 or "filter_width" not in layer.options:
        return False
    if not len(source.shape) == len(output.shape) == 4:
        return False
    filter_hw = (layer.options["filter_height"], layer.options["filter_width"])
    expected = (
        source.shape[0],
        *_window(layer, filter_hw, (source.shape[1], source.shape[2])),
        source.shape[3],
    )
    return output.shape == expected and _same_values(source, output)


def _same_values(source: TfliteTensor, output: TfliteTensor) -> bool:
    """Check that two tensors represent numbers alike."""
    if _is_float(source, output):
        return True
    same = (source.scales, source.zero_points) == (output.scales, output.zero_points)
    return _is_int8(source, output) and same


def _reshape_fits(layer: TfliteLayer) -> bool:
    source, output = layer.inputs[0], layer.outputs[0]
    if source is None or source.size != output.size or not _same_values(source, output):
        return False
    shape = layer.inputs[1] if len(layer.inputs) == 2 else None
    return (
        shape is not None
        and shape.buffer != 0
        and (shape.type_name, shape.shape) == ("int32", (len(output.shape),))
    )


def _softmax_fits(layer: TfliteLayer) -> bool:
    source, output = layer.inputs[0], layer.outputs[0]
    if (
        source is None
        or len(layer.inputs) != 1
        or source.shape != output.shape
        or not 1 <= len(source.shape) <= 4
    ):
        return False
    beta = float(layer.options.get("beta", 0.0))
    if _is_float(source, output):
        return 0 < beta < math.inf
    if not _is_int8(source, output) or (output.scale, output.zero_point) != _POSTERIOR:
        return False
    return 1 < beta * source.scale * 2.0**_SOFTMAX_SHIFT < 2**31


def _arithmetic_fits(layer: TfliteLayer) -> bool:
    if len(layer.inputs) != 2 or layer.inputs[0] is None or layer.inputs[1] is None:
        return False
    first, second, output = layer.inputs[0], layer.inputs[1], layer.outputs[0]
    if not _broadcast_fits(first.shape, second.shape, output.shape):
        return False
    if _is_float(first, second, output):
        return True
    if not _is_int8(first, second, output):
        return False
    if layer.name == "mul":
        return _factors_fit((first.scale * second.scale,), output, _PRODUCT_FACTORS)
    return _factors_fit((first.scale, second.scale), output, _SUM_FACTORS)


def _broadcast_fits(first: tuple[int, ...], second: tuple[int, ...], output: tuple[int, ...]) -> bool:
    longest = max(len(first), len(second))
    padded = [(1,) * (longest - len(shape)) + shape for shape in (first, second)]
    pairs = list(zip(*padded, strict=True))
    fits = 1 <= longest <= 4 and all(a == b or 1 in (a, b) for a, b in pairs)
    return fits and output == tuple(max(pair) for pair in pairs)


def _conversion_fits(layer: TfliteLayer) -> bool:
    source, output = layer.inputs[0], layer.outputs[0]
    if source is None or len(layer.inputs) != 1 or source.shape != output.shape:
        return False
    if layer.name == "quantize" and _is_float(source):
        return _is_int8(output)
    return layer.name == "dequantize" and _is_int8(source) and _is_float(output)


def _activation_fits(layer: TfliteLayer) -> bool:
    source, output = layer.inputs[0], layer.outputs[0]
    if source is None or len(layer.inputs) != 1 or source.shape != output.shape:
        return False
    if _is_float(source, output):
        return True
    if not _is_int8(source, output) or not _factors_fit((source.scale,), output, _SUM_FACTORS):
        return False
    # Fixed-point tables with outputs from 0 to 1 and from -1 to 1.
    expected = {"logistic": _POSTERIOR, "tanh": (1 / 128, 0)}.get(layer.name)
    return expected is None or (output.scale, output.zero_point) == expected


RULES: dict[str, Callable[[TfliteLayer], bool]] = {
    "conv_2d": _conv_fits,
    "depthwise_conv_2d": _conv_fits,
    "fully_connected": _fully_connected_fits,
    "average_pool_2d": _pool_fits,
    "max_pool_2d": _pool_fits,
    "reshape": _reshape_fits,
    "softmax": _softmax_fits,
    "add": _arithmetic_fits,
    "sub": _arithmetic_fits,
    "mul": _arithmetic_fits,
    "quantize": _conversion_fits,
    "dequantize": _conversion_fits,
    "relu": _activation_fits,
    "relu6": _activation_fits,
    "logistic": _activation_fits,
    "tanh": _activation_fits,
}
