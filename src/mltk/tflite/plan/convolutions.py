"""Convolutions and fully connected layers as kernel calls."""

import math

import numpy as np

from mltk.tflite import schema
from mltk.tflite.layers import TfliteLayer, TfliteTensor
from mltk.tflite.plan.lowering import (
    Lowering,
    batched,
    folded_bias,
    fused_range,
    int8_tensor,
    need,
    option,
    requantization,
    tensor_at,
    weight_scales,
)
from mltk.tflite.plan.steps import Constants


def lower_conv(lowering: Lowering, layer: TfliteLayer) -> None:
    """conv_2d; weights [out_c, kernel_h, kernel_w, in_c]."""
    source, weights, output = _conv_tensors(layer)
    out_c, kernel_h, kernel_w, weight_c = batched(weights, "weights")
    need(
        weight_c == batched(source, "input")[3],
        "its weights do not fit its input's channels (grouped convolution)",
    )
    need(batched(output, "output")[3] == out_c, "its weights do not fit its output's channels")
    values = lowering.constant(weights, "weights")
    terms = kernel_h * kernel_w * weight_c
    params: Constants = {
        "weights": values.reshape(-1),
        "bias": folded_bias(
            lowering,
            _bias(layer),
            values.reshape(out_c, -1).sum(axis=1, dtype=np.int64),
            source.zero_point,
            terms,
        ),
        **_factors(source, weights, output, out_c, axis=0),
        **geometry(layer, source, output, kernel_h, kernel_w),
    }
    lowering.add(layer, "mltk_conv_s8", params, [source], [output])


def lower_depthwise_conv(lowering: Lowering, layer: TfliteLayer) -> None:
    """depthwise_conv_2d; weights [1, kernel_h, kernel_w, out_c]."""
    source, weights, output = _conv_tensors(layer)
    one, kernel_h, kernel_w, out_c = batched(weights, "weights")
    in_c = batched(source, "input")[3]
    need(one == 1 and out_c % in_c == 0, "its weights do not fit its input's channels")
    need(batched(output, "output")[3] == out_c, "its weights do not fit its output's channels")
    values = lowering.constant(weights, "weights").reshape(-1, out_c)
    # Of one input channel it is a plain convolution, which has fewer instructions for each product.
    is_plain = in_c == 1
    params: Constants = {
        "weights": (values.T if is_plain else values).reshape(-1),
        "bias": folded_bias(
            lowering,
            _bias(layer),
            values.sum(axis=0, dtype=np.int64),
            source.zero_point,
            kernel_h * kernel_w,
        ),
        **_factors(source, weights, output, out_c, axis=3),
        **geometry(layer, source, output, kernel_h, kernel_w),
    }
    kernel = "mltk_conv_s8" if is_plain else "mltk_depthwise_conv_s8"
    lowering.add(layer, kernel, params, [source], [output])


def lower_fully_connected(lowering: Lowering, layer: TfliteLayer) -> None:
    """fully_connected; weights [out_c, in_c], the input any shape of rows of in_c."""
    source, output = int8_tensor(tensor_at(layer, 0), "input"), int8_tensor(layer.outputs[0], "output")
    weights = tensor_at(layer, 1)
    need(weights.type_name == "int8" and len(weights.shape) == 2, "its weights are not int8 [out, in]")
    out_c, in_c = weights.shape
    need(out_c >= 1 and in_c >= 1 and source.size % in_c == 0, "its weights do not fit its input")
    rows = source.size // in_c
    need(rows >= 1 and output.size == rows * out_c, "its output does not fit its input and weights")
    values = lowering.constant(weights, "weights")
    scales = weight_scales(weights, out_c, axis=0)
    # TensorFlow Lite multiplies the two scales as float32 here, unlike in a convolution.
    factors = [
        float(np.float32(source.scale) * np.float32(scale)) / output.scale
        if len(weights.scales) == 1
        else source.scale * scale / output.scale
        for scale in scales
    ]
    params: Constants = {
        "weights": values.reshape(-1),
        "bias": folded_bias(
            lowering, _bias(layer), values.sum(axis=1, dtype=np.int64), source.zero_point, in_c
        ),
        **requantization(factors),
        "rows": rows,
        "in_c": in_c,
        "out_c": out_c,
        "out_zero": output.zero_point,
        **fused_range(layer, output),
    }
    lowering.add(layer, "mltk_fully_connected_s8", params, [source], [output])


def _conv_tensors(layer: TfliteLayer) -> tuple[TfliteTensor, TfliteTensor, TfliteTensor]:
    weights = tensor_at(layer, 1)
    need(weights.type_name == "int8", f"its weights are {weights.type_name}, not int8")
    return int8_tensor(tensor_at(layer, 0), "input"), weights, int8_tensor(layer.outputs[0], "output")


def _bias(layer: TfliteLayer) -> TfliteTensor | None:
    return layer.inputs[2] if len(layer.inputs) > 2 else None


def _factors(
    source: TfliteTensor, weights: TfliteTensor, output: TfliteTensor, out_c: int, axis: int
) -> Constants:
    scales = weight_scales(weights, out_c, axis)
    return requantization([source.scale * scale / output.scale for scale in scales])


def geometry(
    layer: TfliteLayer, source: TfliteTensor, output: TfliteTensor, kernel_h: int, kernel_w: int
) -> dict[str, int]:
    """Return the fields of a sliding window over [batches, height, width, channels]: sizes, strides, padding, range.

    Raises:
        UnsupportedError: the output has not the window's number of positions, or a number is out of range.

    """
    batches, in_h, in_w, in_c = batched(source, "input")
    out_batches, out_h, out_w, out_c = batched(output, "output")
    need(batches == out_batches, "its input and output have different batches")
    options = layer.options
    geometry = {
        "batches": batches,
        **{"in_h": in_h, "in_w": in_w, "in_c": in_c, "out_h": out_h, "out_w": out_w, "out_c": out_c},
        **{"kernel_h": kernel_h, "kernel_w": kernel_w},
    }
    for axis, size, out_size, kernel in (("h", in_h, out_h, kernel_h), ("w", in_w, out_w, kernel_w)):
        stride, dilation = option(layer, f"stride_{axis}"), int(options.get(f"dilation_{axis}_factor", 1))
        need(1 <= stride <= 4096 and 1 <= dilation <= 4096, "its stride or dilation is outside of 1 to 4096")
        expected, before = window(size, kernel, stride, dilation, option(layer, "padding"))
        need(
            out_size == expected,
            f"its output has the {'height' if axis == 'h' else 'width'} {out_size}, not {expected}",
        )
        geometry |= {f"stride_{axis}": stride, f"dilation_{axis}": dilation}
        geometry["pad_top" if axis == "h" else "pad_left"] = before
    return {
        **geometry,
        "in_zero": source.zero_point,
        "out_zero": output.zero_point,
        **fused_range(layer, output),
    }


def window(size: int, kernel: int, stride: int, dilation: int, padding: int) -> tuple[int, int]:
    """Return (positions of a sliding window, cells of padding before the first), TensorFlow's rule."""
    need(schema.enum_name("Padding", padding) in ("SAME", "VALID"), "its padding is neither SAME nor VALID")
    reach = (kernel - 1) * dilation + 1
    if schema.enum_name("Padding", padding) == "VALID":
        return max(0, math.ceil((size - reach + 1) / stride)), 0
    positions = math.ceil(size / stride)
    return positions, max(0, (positions - 1) * stride + reach - size) // 2
