"""Operators that only move values: those that rename bytes cost nothing, the others are strided copies."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mltk.tflite.layers import TfliteLayer, TfliteTensor
from mltk.tflite.plan.lowering import Lowering, UnsupportedError, need, tensor_at
from mltk.tflite.plan.steps import Constants

MOST_DIMS = 6  # MLTK_COPY_MAX_DIMS


@dataclass(frozen=True)
class View:
    """Some elements of a tensor: the first one's place and the step to the next along each dimension.

    Attributes:
        start: elements before the first.
        strides: elements, one a dimension; negative where it goes backwards.

    """

    start: int
    strides: tuple[int, ...]


def lower_reshape(lowering: Lowering, layer: TfliteLayer) -> None:
    """Reshape, expand_dims, squeeze: the same bytes under another shape."""
    source, output = tensor_at(layer, 0), layer.outputs[0]
    need(source.size == output.size and source.type_name == output.type_name, "its output has another size")
    if lowering.model.constant(source) is None:
        lowering.alias(output, source)
    else:
        flat = View(0, (1,))
        copy(lowering, layer, source, output, (source.size,), flat, flat)


def lower_transpose(lowering: Lowering, layer: TfliteLayer) -> None:
    """Transpose: output dimension i is input dimension order[i]."""
    source, output = _same_values(tensor_at(layer, 0), layer.outputs[0])
    order = _integers(lowering, tensor_at(layer, 1), "order of dimensions")
    dims = len(source.shape)
    order = [axis + dims if axis < 0 else axis for axis in order]
    need(sorted(order) == list(range(dims)), "its order of dimensions does not name each of them once")
    need(output.shape == tuple(source.shape[axis] for axis in order), "its output has another shape")
    strides = _strides(source.shape)
    view = View(0, tuple(strides[axis] for axis in order))
    copy(lowering, layer, source, output, output.shape, view, View(0, _strides(output.shape)))


def lower_pad(lowering: Lowering, layer: TfliteLayer) -> None:
    """Pad, padv2: the zero point around the input, or the value of the third input."""
    source, output = _same_values(tensor_at(layer, 0), layer.outputs[0])
    table = tensor_at(layer, 1)
    need(table.shape == (len(source.shape), 2), "its table of paddings is not [dimensions, 2]")
    amounts = np.array(_integers(lowering, table, "table of paddings")).reshape(-1, 2)
    need(bool((amounts >= 0).all()), "one of its paddings is negative")
    need(
        output.shape == tuple(np.add(source.shape, amounts.sum(axis=1)).tolist()),
        "its output has another shape",
    )
    strides = _strides(output.shape)
    if output.size > source.size:
        value = _padding_value(lowering, layer, output)
        n_bytes = output.size * output.dtype.itemsize
        lowering.add(layer, "mltk_fill", {"n_bytes": n_bytes, "value": value}, [], [output])
    start = sum(int(amount) * stride for amount, stride in zip(amounts[:, 0], strides, strict=True))
    copy(lowering, layer, source, output, source.shape, View(0, _strides(source.shape)), View(start, strides))


def _padding_value(lowering: Lowering, layer: TfliteLayer, output: TfliteTensor) -> int:
    """Return the byte that padding is made of."""
    if len(layer.inputs) < 3 or layer.inputs[2] is None:
        return output.zero_point & 0xFF if output.type_name == "int8" else 0
    value = layer.inputs[2]
    need(value.size == 1 and value.type_name == output.type_name, "its padding value is not one value")
    found = set(lowering.constant(value, "padding value").tobytes())
    need(len(found) == 1, "its padding value has different bytes")
    return found.pop()


def lower_concatenation(lowering: Lowering, layer: TfliteLayer) -> None:
    """Concatenation of inputs with the output's scale: TFLM copies the bytes whatever their scales are."""
    output = layer.outputs[0]
    need(int(layer.options.get("fused_activation_function", 0)) == 0, "it has a fused activation")
    axis = _axis(int(layer.options.get("axis", 0)), len(output.shape))
    sources = [tensor_at(layer, place) for place in range(len(layer.inputs))]
    for source in sources:
        _same_values(source, output)
        need(
            len(source.shape) == len(output.shape)
            and _without(source.shape, axis) == _without(output.shape, axis),
            "its inputs do not fit its output",
        )
    need(
        sum(source.shape[axis] for source in sources) == output.shape[axis],
        "its inputs do not fill its output",
    )
    _join(lowering, layer, sources, output, axis, [source.shape[axis] for source in sources])


def lower_pack(lowering: Lowering, layer: TfliteLayer) -> None:
    """Pack: equal tensors along a new dimension."""
    output = layer.outputs[0]
    axis = _axis(int(layer.options.get("axis", 0)), len(output.shape))
    sources = [tensor_at(layer, place) for place in range(len(layer.inputs))]
    need(
        len(sources) == output.shape[axis] == int(layer.options.get("values_count", len(sources))),
        "its inputs do not fill its output",
    )
    for source in sources:
        _same_values(source, output)
        need(source.shape == _without(output.shape, axis), "its inputs do not fit its output")
    _join(lowering, layer, sources, output, axis, [1] * len(sources))


def _join(
    lowering: Lowering,
    layer: TfliteLayer,
    sources: Sequence[TfliteTensor],
    output: TfliteTensor,
    axis: int,
    widths: Sequence[int],
) -> None:
    """Copy each source into its part of the output."""
    strides, first = _strides(output.shape), 0
    for source, width in zip(sources, widths, strict=True):
        part = (*output.shape[:axis], width, *output.shape[axis + 1 :])
        copy(
            lowering,
            layer,
            source,
            output,
            part,
            View(0, _strides(part)),
            View(first * strides[axis], strides),
        )
        first += width


def lower_split(lowering: Lowering, layer: TfliteLayer) -> None:
    """Split: parts of the same size along the dimension that the first input names."""
    source = tensor_at(layer, 1)
    axis = _axis(_one_integer(lowering, tensor_at(layer, 0), "dimension"), len(source.shape))
    widths = {output.shape[axis] if len(output.shape) == len(source.shape) else 0 for output in layer.outputs}
    need(len(widths) == 1, "its outputs have different shapes")
    _cut(lowering, layer, source, axis)


def lower_split_v(lowering: Lowering, layer: TfliteLayer) -> None:
    """split_v: parts of the sizes that the second input names, along the dimension of the third."""
    source = tensor_at(layer, 0)
    axis = _axis(_one_integer(lowering, tensor_at(layer, 2), "dimension"), len(source.shape))
    _cut(lowering, layer, source, axis)


def _cut(lowering: Lowering, layer: TfliteLayer, source: TfliteTensor, axis: int) -> None:
    """Copy the parts of a tensor into the outputs, as wide as these are."""
    strides, first = _strides(source.shape), 0
    for output in layer.outputs:
        _same_values(source, output)
        need(
            len(output.shape) == len(source.shape)
            and _without(output.shape, axis) == _without(source.shape, axis),
            "its outputs do not fit its input",
        )
        first += output.shape[axis]
    need(first == source.shape[axis], "its outputs do not use up its input")
    first = 0
    for output in layer.outputs:
        view = View(first * strides[axis], strides)
        copy(lowering, layer, source, output, output.shape, view, View(0, _strides(output.shape)))
        first += output.shape[axis]


def lower_strided_slice(lowering: Lowering, layer: TfliteLayer) -> None:
    """strided_slice with begin, end and shrink masks; TFLM ignores the others and the offset flag."""
    source, output = _same_values(tensor_at(layer, 0), layer.outputs[0])
    for name in ("ellipsis_mask", "new_axis_mask", "offset"):
        need(not layer.options.get(name, 0), f"it has the option {name}")
    bounds = [
        _integers(lowering, tensor_at(layer, place), what)
        for place, what in enumerate(("begin", "end", "strides"), 1)
    ]
    dims = len(source.shape)
    need(all(len(values) == dims for values in bounds), "its bounds do not name every dimension")
    masks = [int(layer.options.get(name, 0)) for name in ("begin_mask", "end_mask", "shrink_axis_mask")]
    strides, start, extents, steps, kept = _strides(source.shape), 0, [], [], []
    for axis, (begin, end, step) in enumerate(zip(*bounds, strict=True)):
        no_begin, no_end, shrink = (bool(mask >> axis & 1) for mask in masks)
        need(step != 0, "one of its strides is 0")
        need(not shrink or step > 0, "it takes one element of a dimension backwards")
        size = source.shape[axis]
        chosen = range(*slice(None if no_begin else begin, None if no_end else end, step).indices(size))
        if shrink:
            first = 0 if no_begin else begin + size if begin < 0 else begin
            need(0 <= first < size, "it takes an element that is not there")
            chosen = range(first, first + 1)
        else:
            kept.append(len(chosen))
        need(len(chosen) >= 1, "it takes nothing")
        start += chosen[0] * strides[axis]
        extents.append(len(chosen))
        steps.append(step * strides[axis])
    need(
        output.shape == tuple(kept) or (output.shape in ((), (1,)) and not kept),
        "its output has another shape",
    )
    copy(
        lowering, layer, source, output, extents, View(start, tuple(steps)), View(0, _strides(tuple(extents)))
    )


def copy(
    lowering: Lowering,
    layer: TfliteLayer,
    source: TfliteTensor,
    output: TfliteTensor,
    extents: Sequence[int],
    source_view: View,
    output_view: View,
) -> None:
    """Add the copy of `extents` elements from one view to another, in as few dimensions and as long runs as can be.

    Raises:
        UnsupportedError: more than 6 dimensions are left.

    """
    size = output.dtype.itemsize
    # Dimensions of one element say nothing; two that follow each other without a gap in both tensors are one.
    merged: list[tuple[int, int, int]] = []
    for count, step, output_step in zip(extents, source_view.strides, output_view.strides, strict=True):
        if count == 1:
            continue
        if merged and merged[-1][1:] == (step * count, output_step * count):
            merged[-1] = (merged[-1][0] * count, step, output_step)
        else:
            merged.append((count, step, output_step))
    run = 1
    if merged and merged[-1][1:] == (1, 1):
        run = merged.pop()[0]
    merged = merged or [(1, 0, 0)]
    need(len(merged) <= MOST_DIMS, f"it moves values along more than {MOST_DIMS} dimensions")
    params: Constants = {
        "extents": np.array([count for count, _, _ in merged], np.uint32),
        "input_strides": np.array([step * size for _, step, _ in merged], np.int32),
        "output_strides": np.array([step * size for _, _, step in merged], np.int32),
        "dims": len(merged),
        "run_bytes": run * size,
        "input_start": source_view.start * size,
        "output_start": output_view.start * size,
    }
    lowering.add(layer, "mltk_copy", params, [source], [output])


def _strides(shape: Sequence[int]) -> tuple[int, ...]:
    """Return the elements between neighbours along each dimension of a whole tensor."""
    strides = [1]
    for size in reversed(shape[1:]):
        strides.append(strides[-1] * size)
    return tuple(reversed(strides[: len(shape)])) if shape else ()


def _without(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return shape[:axis] + shape[axis + 1 :]


def _axis(axis: int, dims: int) -> int:
    need(-dims <= axis < dims, f"it has no dimension {axis}")
    return axis + dims if axis < 0 else axis


def _same_values(source: TfliteTensor, output: TfliteTensor) -> tuple[TfliteTensor, TfliteTensor]:
    """Return the two if a byte means the same in both."""
    need(source.type_name == output.type_name, f"it makes {output.type_name} of {source.type_name}")
    need(
        source.type_name != "int8"
        or (source.scales[:1], source.zero_point) == (output.scales[:1], output.zero_point),
        "its input and output have different scales or zero points",
    )
    return source, output


def _integers(lowering: Lowering, tensor: TfliteTensor, what: str) -> list[int]:
    need(tensor.type_name in ("int32", "int64"), f"its {what} is {tensor.type_name}, not int32")
    return [int(value) for value in lowering.constant(tensor, what).reshape(-1)]


def _one_integer(lowering: Lowering, tensor: TfliteTensor, what: str) -> int:
    values = _integers(lowering, tensor, what)
    if len(values) != 1:
        raise UnsupportedError(f"its {what} is not one number")
    return values[0]
