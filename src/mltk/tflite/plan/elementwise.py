"""Operators on two tensors value by value, one of them repeated along dimensions where it is smaller."""

from collections.abc import Callable

import numpy as np

from mltk.tflite.layers import TfliteLayer, TfliteTensor
from mltk.tflite.plan.fixed_functions import requantize
from mltk.tflite.plan.fixed_point import quantize_multiplier
from mltk.tflite.plan.lookup import add_lookup, clamp
from mltk.tflite.plan.lowering import Lowering, fused_range, int8_tensor, need, tensor_at

_DIMENSIONS = 4
# Bits that the common scale of a sum, and of a difference that is squared, is finer than twice the larger scale.
_SUM_BITS, _SQUARE_BITS = 20, 7


def lower_add(lowering: Lowering, layer: TfliteLayer) -> None:
    """add: the sum of two tensors."""
    first, second, output = _tensors(layer)
    twice = 2 * max(first.scale, second.scale)
    scales = (first.scale / twice, second.scale / twice, twice / (2**_SUM_BITS * output.scale))
    _lower_sum(lowering, layer, scales, sign=1)


def lower_sub(lowering: Lowering, layer: TfliteLayer) -> None:
    """sub: the difference of two tensors. TensorFlow Lite Micro computes its factors in float32."""
    first, second, output = _tensors(layer)
    twice = np.float32(2 * max(first.scale, second.scale))
    out_step = np.float32(2**_SUM_BITS) * np.float32(output.scale)
    scales = (
        float(np.float32(first.scale) / twice),
        float(np.float32(second.scale) / twice),
        float(twice / out_step),
    )
    _lower_sum(lowering, layer, scales, sign=-1)


def _lower_sum(lowering: Lowering, layer: TfliteLayer, scales: tuple[float, float, float], sign: int) -> None:
    """Add first + sign * second; scales: of both inputs and the output, relative to the common one."""
    first, second, output = _tensors(layer)
    need(scales[2] < 1, "its output's scale is too small for its inputs'")
    (first_m, first_s), (second_m, second_s), (out_m, out_s) = (
        quantize_multiplier(scale) for scale in scales
    )
    limits = fused_range(layer, output)

    def value(a: int, b: int) -> int:
        scaled = requantize((a - first.zero_point) << _SUM_BITS, first_m, first_s)
        scaled += sign * requantize((b - second.zero_point) << _SUM_BITS, second_m, second_s)
        return clamp(
            requantize(scaled, out_m, out_s) + output.zero_point, limits["out_min"], limits["out_max"]
        )

    if _lower_scalar(lowering, layer, value):
        return
    signs = (1, sign)
    if second.scale > first.scale:
        first, second, second_m, second_s, signs = second, first, first_m, first_s, (sign, 1)
    second_m, second_right = _right_shift(second_m, second_s)
    out_m, out_right = _right_shift(out_m, out_s)
    factor = signs[0] * 2 ** (_SUM_BITS - 1)
    params = {
        **broadcast(first, second, output),
        "first_factor": factor,
        "offset": -first.zero_point * factor,
        "second_high": second_m >> 16 << 5,
        "second_low": second_m & 0xFFFF,
        "out_multiplier": out_m,
        "second_zero": second.zero_point,
        "second_right": second_right,
        "second_sign": signs[1],
        "out_right": out_right,
        "out_zero": output.zero_point,
        **limits,
    }
    lowering.add(layer, "mltk_add_s8", params, [first, second], [output], in_place=True)


def _right_shift(multiplier: int, shift: int) -> tuple[int, int]:
    """Return the multiplier and a shift to the right of 0 to 30; a sum's 29 bits shifted by 31 are nothing."""
    need(shift <= 0, "its scales do not fit each other")
    return (multiplier, -shift) if -shift <= 30 else (0, 0)


def lower_mul(lowering: Lowering, layer: TfliteLayer) -> None:
    """mul: the product of two tensors."""
    first, second, output = _tensors(layer)
    factor = first.scale * second.scale / output.scale
    need(factor < 2.0**14, "its scales do not fit each other")
    multiplier, shift = quantize_multiplier(factor)
    limits = fused_range(layer, output)

    def value(a: int, b: int) -> int:
        product = requantize((a - first.zero_point) * (b - second.zero_point), multiplier, shift)
        return clamp(product + output.zero_point, limits["out_min"], limits["out_max"])

    if _lower_scalar(lowering, layer, value):
        return
    params = {
        **broadcast(first, second, output),
        "multiplier": multiplier,
        "shift": shift,
        "first_zero": first.zero_point,
        "second_zero": second.zero_point,
        "out_zero": output.zero_point,
        **limits,
    }
    lowering.add(layer, "mltk_mul_s8", params, [first, second], [output], in_place=True)


def lower_squared_difference(lowering: Lowering, layer: TfliteLayer) -> None:
    """squared_difference: (a - b)**2."""
    first, second, output = _tensors(layer)
    if second.scale > first.scale:  # a square does not mind
        first, second = second, first
    twice = 2 * first.scale
    out_factor = twice * twice / float(np.float32(2 ** (2 * _SQUARE_BITS)) * np.float32(output.scale))
    second_m, second_s = quantize_multiplier(second.scale / twice)
    out_m, out_s = quantize_multiplier(out_factor)
    need(out_s <= 0, "its output's scale is too small for its inputs'")

    def value(a: int, b: int) -> int:
        x, y = (b, a) if first is layer.inputs[1] else (a, b)
        scaled = requantize((y - second.zero_point) << _SQUARE_BITS, second_m, second_s)
        difference = ((x - first.zero_point) << (_SQUARE_BITS - 1)) - scaled
        return clamp(requantize(difference * difference, out_m, out_s) + output.zero_point)

    if _lower_scalar(lowering, layer, value):
        return
    params = {
        **broadcast(first, second, output),
        "second_multiplier": second_m,
        "out_multiplier": out_m,
        "second_shift": second_s,
        "out_shift": out_s,
        "first_zero": first.zero_point,
        "second_zero": second.zero_point,
        "out_zero": output.zero_point,
    }
    lowering.add(layer, "mltk_squared_difference_s8", params, [first, second], [output], in_place=True)


def _tensors(layer: TfliteLayer) -> tuple[TfliteTensor, TfliteTensor, TfliteTensor]:
    return (
        int8_tensor(tensor_at(layer, 0), "first input"),
        int8_tensor(tensor_at(layer, 1), "second input"),
        int8_tensor(layer.outputs[0], "output"),
    )


def _lower_scalar(lowering: Lowering, layer: TfliteLayer, value: Callable[[int, int], int]) -> bool:
    """Make it a table where one input is a single constant; tell whether it is."""
    first, second, output = _tensors(layer)
    broadcast(first, second, output)
    for scalar, other in ((second, first), (first, second)):
        constant = lowering.model.constant(scalar)
        if constant is not None and constant.size == 1 and other.size == output.size:
            number = int(constant.reshape(-1)[0])
            add_lookup(lowering, layer, other, output, _with_one(value, number, scalar is first))
            return True
    return False


def _with_one(value: Callable[[int, int], int], number: int, is_first: bool) -> Callable[[int], int]:
    return (lambda x: value(number, x)) if is_first else (lambda x: value(x, number))


def broadcast(first: TfliteTensor, second: TfliteTensor, output: TfliteTensor) -> dict[str, int]:
    """Return the fields of `mltk_broadcast`: as few dimensions as there are changes in who is repeated.

    Raises:
        UnsupportedError: the shapes do not make up the output's, or change too often.

    """
    rank = len(output.shape)
    need(max(len(first.shape), len(second.shape)) <= rank, "its output has too few dimensions")
    shapes = [(1,) * (rank - len(tensor.shape)) + tensor.shape for tensor in (first, second)]
    groups: list[tuple[int, bool, bool]] = []
    for size, a, b in zip(output.shape, *shapes, strict=True):
        need(size == max(a, b) and {a, b} <= {1, size}, "its inputs' shapes do not make up its output's")
        if size == 1:
            continue
        moves = (a == size, b == size)
        merged = groups.pop()[0] if groups and groups[-1][1:] == moves else 1
        groups.append((merged * size, *moves))
    need(len(groups) <= _DIMENSIONS, "its inputs are repeated in too many ways")
    groups = [(1, False, False)] * (_DIMENSIONS - len(groups)) + (groups or [(1, True, True)])
    return _broadcast_fields(groups[-_DIMENSIONS:])


def _broadcast_fields(groups: list[tuple[int, bool, bool]]) -> dict[str, int]:
    fields = {f"shape.sizes[{place}]": size for place, (size, _, _) in enumerate(groups)}
    for which, name in ((1, "first"), (2, "second")):
        step = 1
        for place in reversed(range(_DIMENSIONS)):
            moves = groups[place][which]
            fields[f"shape.{name}_steps[{place}]"] = step if moves else 0
            step *= groups[place][0] if moves else 1
    return fields
