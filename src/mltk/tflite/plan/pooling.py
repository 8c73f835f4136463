"""Pooling over sliding windows, and means over whole dimensions."""

import numpy as np

from mltk.tflite.layers import TfliteLayer, TfliteTensor
from mltk.tflite.plan.convolutions import geometry
from mltk.tflite.plan.fixed_point import quantize_multiplier
from mltk.tflite.plan.lowering import MOST_SIZE, Lowering, int8_tensor, need, option, tensor_at

# A sum of so many int8 values stays far below 2**31.
_MOST_CELLS = 2**20
_GROUPS = 2


def lower_average_pool(lowering: Lowering, layer: TfliteLayer) -> None:
    """average_pool_2d: the mean of each window; cells of padding do not count."""
    _lower_pool(lowering, layer, "mltk_average_pool_s8")


def lower_max_pool(lowering: Lowering, layer: TfliteLayer) -> None:
    """max_pool_2d: the largest value of each window."""
    _lower_pool(lowering, layer, "mltk_max_pool_s8")


def _lower_pool(lowering: Lowering, layer: TfliteLayer, kernel: str) -> None:
    source, output = int8_tensor(tensor_at(layer, 0), "input"), int8_tensor(layer.outputs[0], "output")
    need(
        source.scale == output.scale and source.zero_point == output.zero_point,
        "its input and output have different scales",
    )
    kernel_h, kernel_w = option(layer, "filter_height"), option(layer, "filter_width")
    need(
        1 <= kernel_h <= MOST_SIZE and 1 <= kernel_w <= MOST_SIZE and kernel_h * kernel_w <= _MOST_CELLS,
        "its window is empty or too large",
    )
    params = geometry(layer, source, output, kernel_h, kernel_w)
    need(params["in_c"] == params["out_c"], "its input and output have different channels")
    lowering.add(layer, kernel, {**params, "channels": params["in_c"]}, [source], [output])


def lower_mean(lowering: Lowering, layer: TfliteLayer) -> None:
    """mean: over any dimensions."""
    source, output = int8_tensor(tensor_at(layer, 0), "input"), int8_tensor(layer.outputs[0], "output")
    reduced = _reduced(lowering, layer, source)
    kept = tuple(size for size, is_reduced in zip(source.shape, reduced, strict=True) if not is_reduced)
    flat = tuple(size for size in output.shape if size != 1)
    need(
        flat == tuple(size for size in kept if size != 1), "its output does not fit its input and dimensions"
    )
    count = source.size // output.size
    multiplier, shift = _mean_factor(source.scale / output.scale, count)
    need(count * 255 * 2.0 ** max(shift, 0) < 2.0**31, "its scales do not fit each other")
    params = {
        "multiplier": multiplier,
        "shift": shift,
        "offset": -source.zero_point * count,
        **_mean_fields(source.shape, reduced),
        "out_zero": output.zero_point,
    }
    lowering.add(layer, "mltk_mean_s8", params, [source], [output])


def _reduced(lowering: Lowering, layer: TfliteLayer, source: TfliteTensor) -> list[bool]:
    """Tell of each dimension whether it is averaged over."""
    axes = lowering.constant(tensor_at(layer, 1), "list of dimensions")
    need(axes.dtype == np.int32 and axes.size <= 64, "its list of dimensions is not int32")
    rank = len(source.shape)
    numbers = [int(axis) for axis in axes.reshape(-1)]
    need(all(-rank <= axis < rank for axis in numbers), "its list of dimensions has one that is not there")
    chosen = {axis % rank for axis in numbers}
    return [axis in chosen for axis in range(rank)]


def _mean_factor(factor: float, count: int) -> tuple[int, int]:
    """Return (multiplier, shift) of factor / count, rounded as TensorFlow Lite does: the multiplier divided down."""
    need(factor < 2.0**30, "its scales do not fit each other")
    multiplier, shift = quantize_multiplier(factor)
    bits = min(count.bit_length() - 1, 32, 31 + shift)
    return (multiplier << bits) // count, shift - bits


def _mean_fields(shape: tuple[int, ...], reduced: list[bool]) -> dict[str, int]:
    """Return the sizes and steps of at most two kept and two averaged groups of dimensions."""
    groups: list[tuple[int, bool]] = []
    for size, is_reduced in zip(shape, reduced, strict=True):
        if size == 1:
            continue
        merged = groups.pop()[0] if groups and groups[-1][1] == is_reduced else 1
        groups.append((merged * size, is_reduced))
    steps = [int(np.prod([size for size, _ in groups[place + 1 :]])) for place in range(len(groups))]
    fields: dict[str, int] = {}
    for name, wanted in (("kept", False), ("mean", True)):
        mine = [
            (size, step)
            for (size, is_reduced), step in zip(groups, steps, strict=True)
            if is_reduced == wanted
        ]
        need(len(mine) <= _GROUPS, "it averages over too many separate dimensions")
        for place, (size, step) in enumerate([(1, 0)] * (_GROUPS - len(mine)) + mine):
            fields |= {f"{name}_sizes[{place}]": size, f"{name}_steps[{place}]": step}
    return fields
