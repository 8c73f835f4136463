"""Graphs of one operator each, drawn at random: all operators but the convolutions (`kernels_cases`).

Every strategy draws the .tflite file alone; the inputs' values come from a seed of their own.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st
from kernels_cases import (
    FLOAT32,
    INT8,
    INT16,
    INT32,
    Builder,
    activations,
    schema,
    seeds,
    shapes,
    windows,
    zero_points,
)

UINT8 = 3
ADD, AVERAGE_POOL, CONCATENATION, DEQUANTIZE, LOGISTIC, MAX_POOL, MUL = 0, 1, 2, 6, 14, 17, 18
RELU, RELU6, RESHAPE, SOFTMAX, TANH, PAD, TRANSPOSE, MEAN, SUB, SQUEEZE, LSTM = (
    19,
    21,
    22,
    25,
    28,
    34,
    39,
    40,
    41,
    43,
    44,
)
STRIDED_SLICE, SPLIT, PADV2, EXPAND_DIMS, RSQRT, PACK = 45, 49, 60, 70, 76, 83
SQUARED_DIFFERENCE, SPLIT_V, QUANTIZE = 99, 102, 114
Draw = Callable[..., Any]

# Zero points at the ends of int8 are drawn as often as all others together.
ends = st.one_of(st.sampled_from([-128, 127, 0]), zero_points)
# Scales that are far apart: 1 : 2**15.
far_scales = st.floats(-12, 3).map(lambda power: float(np.float32(2.0**power)))


def quantized(draw: Draw, scale: float | None = None) -> dict[str, Any]:
    """Draw a scale, where none is given, and a zero point, as arguments of Builder.tensor."""
    return {"scale": draw(far_scales) if scale is None else scale, "zero_point": draw(ends)}


def all_values(repeats: int = 1) -> Any:
    """Return every int8 value: int8 [1, 256 * repeats]."""
    return np.tile(np.arange(-128, 128, dtype=np.int8), repeats).reshape(1, -1)


# --- Two tensors -----------------------------------------------------------------------------------------------------


@st.composite
def pairs(draw: Draw, code: int) -> bytes:
    """Draw add, sub, mul or squared_difference; inputs that are repeated, constant, or one and the same tensor."""
    build, rng = Builder(), np.random.default_rng(draw(seeds))
    shape = draw(shapes(1, 4, 5))
    first, second = (quantized(draw) for _ in range(2))
    output = quantized(draw, _output_scale(draw, code, first["scale"], second["scale"]))
    shape_of = draw(st.sampled_from(["same", "first", "second", "both"]))
    first_shape = _repeated(draw, shape) if shape_of in ("first", "both") else shape
    second_shape = _repeated(draw, shape) if shape_of in ("second", "both") else shape
    out_shape = np.broadcast_shapes(first_shape, second_shape)
    one = build.tensor(first_shape, **first)
    inputs = [one]
    kind = draw(st.sampled_from(["computed", "computed", "constant", "first constant", "same"]))
    if kind == "same":
        two, out_shape = one, first_shape
    elif kind == "computed":
        two = build.tensor(second_shape, **second)
        inputs = [one, two]
    else:
        two = build.tensor(second_shape, **second, data=rng.integers(-128, 128, second_shape))
    target = build.tensor(out_shape, **output)
    build.operator(
        code, [two, one] if kind == "first constant" else [one, two], [target], _pair_options(draw, code), 2
    )
    return build.pack(inputs, [target])


def _repeated(draw: Draw, shape: Sequence[int]) -> tuple[int, ...]:
    """Draw a shape that is repeated to make up another: some sizes 1, or no leading dimensions."""
    kept = [size if draw(st.booleans()) else 1 for size in shape]
    return tuple(kept[draw(st.integers(0, len(kept) - 1)) :])


def _output_scale(draw: Draw, code: int, first: float, second: float) -> float:
    """Draw an output's scale that TFLM takes: its factors have to be below 1, but for mul's."""
    power = draw(st.floats(-5, 8))
    if code == MUL:
        return float(np.float32(max(first * second * 2.0**power, 2.0**-30)))
    if code == SQUARED_DIFFERENCE:
        return float(np.float32(max(first, second) ** 2 * 2.0**power))
    return float(np.float32(max(first, second) * 2.0**power))


def _pair_options(draw: Draw, code: int) -> Any:
    if code == SQUARED_DIFFERENCE:
        return schema.SquaredDifferenceOptionsT()
    options = {ADD: schema.AddOptionsT, SUB: schema.SubOptionsT, MUL: schema.MulOptionsT}[code]
    return options(fusedActivationFunction=draw(activations))


# --- Windows and means -----------------------------------------------------------------------------------------------


@st.composite
def pools(draw: Draw, code: int) -> bytes:
    """Draw average_pool_2d or max_pool_2d."""
    build, window = Builder(), draw(windows(dilated=False))
    batches, channels, values = draw(st.integers(1, 2)), draw(st.integers(1, 6)), quantized(draw)
    source = build.tensor((batches, window["size_h"], window["size_w"], channels), **values)
    output = build.tensor((batches, window["out_h"], window["out_w"], channels), **values)
    options = schema.Pool2DOptionsT(
        padding=window["padding"],
        strideW=window["stride_w"],
        strideH=window["stride_h"],
        filterWidth=window["kernel_w"],
        filterHeight=window["kernel_h"],
        fusedActivationFunction=draw(activations),
    )
    build.operator(code, [source], [output], options, 2)
    return build.pack([source], [output])


@st.composite
def means(draw: Draw) -> bytes:
    """Draw mean over any dimensions, kept as size 1 or dropped."""
    build, shape = Builder(), draw(shapes(1, 4))
    rank = len(shape)
    axes = draw(st.lists(st.integers(0, rank - 1), min_size=1, max_size=rank, unique=True))
    keep = draw(st.booleans())
    kept = [1 if axis in axes else size for axis, size in enumerate(shape) if keep or axis not in axes]
    source = build.tensor(shape, **(first := quantized(draw)))
    signed = [axis - rank if draw(st.booleans()) else axis for axis in axes]
    listed = build.tensor((len(axes),), INT32, data=signed)
    factor = draw(st.sampled_from([1.0, 0.3, 2.7]))
    output = build.tensor(
        kept, **(first if draw(st.booleans()) else quantized(draw, first["scale"] * factor))
    )
    build.operator(MEAN, [source, listed], [output], schema.ReducerOptionsT(keepDims=keep), 2)
    return build.pack([source], [output])


# --- Functions of one value ------------------------------------------------------------------------------------------


def unary(code: int, source: dict[str, Any], output: dict[str, Any], options: Any = None) -> bytes:
    """Return a graph of one operator from int8 [1, 256] to int8 [1, 256]."""
    build = Builder()
    first, last = build.tensor((1, 256), **source), build.tensor((1, 256), **output)
    build.operator(code, [first], [last], options, 2)
    return build.pack([first], [last])


@st.composite
def logistics(draw: Draw) -> bytes:
    """Draw logistic."""
    return unary(LOGISTIC, quantized(draw), {"scale": 1 / 256, "zero_point": -128})


@st.composite
def tanhs(draw: Draw) -> bytes:
    """Draw tanh."""
    return unary(TANH, quantized(draw), {"scale": 1 / 128, "zero_point": 0})


@st.composite
def relus(draw: Draw) -> bytes:
    """Draw relu, which may change the scale."""
    source = quantized(draw)
    return unary(RELU, source, quantized(draw, source["scale"] * draw(st.sampled_from([1.0, 0.01, 1.7]))))


@st.composite
def relu6s(draw: Draw) -> bytes:
    """Draw relu6."""
    both = quantized(draw)
    return unary(RELU6, both, both)


@st.composite
def requantizes(draw: Draw) -> bytes:
    """Draw quantize from int8 to int8, or to uint8."""
    build = Builder()
    kind = draw(st.sampled_from([INT8, UINT8]))
    output = {"scale": draw(far_scales), "zero_point": draw(ends) + (128 if kind == UINT8 else 0)}
    first, last = build.tensor((1, 256), **quantized(draw)), build.tensor((1, 256), kind, **output)
    build.operator(QUANTIZE, [first], [last], schema.QuantizeOptionsT())
    return build.pack([first], [last])


@st.composite
def bytes_to_int8(draw: Draw) -> tuple[bytes, Any]:
    """Draw quantize from uint8 to int8 and its input."""
    build = Builder()
    source = build.tensor((1, 256), UINT8, scale=draw(far_scales), zero_point=draw(ends) + 128)
    output = build.tensor((1, 256), **quantized(draw))
    build.operator(QUANTIZE, [source], [output], schema.QuantizeOptionsT())
    return build.pack([source], [output]), np.arange(256, dtype=np.uint8)[np.newaxis]


@st.composite
def rsqrts(draw: Draw) -> tuple[bytes, Any]:
    """Draw rsqrt and its input: TFLM refuses to go on where the input is negative."""
    source = quantized(draw)
    # Smaller factors than 2**-11 are refused: all of the output would be its zero point.
    factor = 2.0 ** draw(st.floats(-6, 12))
    data = unary(RSQRT, source, quantized(draw, float(np.float32(1 / (np.sqrt(source["scale"]) * factor)))))
    return data, np.maximum(all_values(), source["zero_point"]).astype(np.int8)


@st.composite
def quantizes(draw: Draw) -> tuple[bytes, Any]:
    """Draw quantize from float32 and its input: halves between two steps, values beyond the range, zeros of both signs."""
    build, values = Builder(), quantized(draw)
    rng = np.random.default_rng(draw(seeds))
    steps = np.concatenate(
        [rng.integers(-300, 300, 24) + 0.5, rng.normal(0, 200, 24), [0.0, -0.0, 1e6, -1e6]]
    )
    data = (steps * values["scale"]).astype(np.float32)[np.newaxis]
    source, output = build.tensor(data.shape, FLOAT32), build.tensor(data.shape, **values)
    build.operator(QUANTIZE, [source], [output], schema.QuantizeOptionsT())
    return build.pack([source], [output]), data


@st.composite
def dequantizes(draw: Draw) -> bytes:
    """Draw dequantize to float32."""
    build = Builder()
    source, output = build.tensor((1, 256), **quantized(draw)), build.tensor((1, 256), FLOAT32)
    build.operator(DEQUANTIZE, [source], [output], schema.DequantizeOptionsT(), 2)
    return build.pack([source], [output])


@st.composite
def softmaxes(draw: Draw) -> bytes:
    """Draw softmax."""
    build, shape = Builder(), draw(st.one_of(shapes(1, 4), st.tuples(st.just(1), st.integers(10, 300))))
    source, output = (
        build.tensor(shape, **quantized(draw)),
        build.tensor(shape, scale=1 / 256, zero_point=-128),
    )
    beta = draw(st.sampled_from([1.0, 0.5, 2.0, 0.01]))
    build.operator(SOFTMAX, [source], [output], schema.SoftmaxOptionsT(beta=beta), version=2)
    return build.pack([source], [output])


# --- Moving values ---------------------------------------------------------------------------------------------------


@st.composite
def reshapes(draw: Draw) -> bytes:
    """Draw reshape, expand_dims or squeeze."""
    build, shape, values = Builder(), draw(shapes(1, 4, 6)), quantized(draw)
    axis = draw(st.integers(0, len(shape)))
    longer = (*shape[:axis], 1, *shape[axis:])
    kind = draw(st.sampled_from([RESHAPE, EXPAND_DIMS, SQUEEZE]))
    source = build.tensor(longer if kind == SQUEEZE else shape, **values)
    if kind == RESHAPE:
        flat = (int(np.prod(shape)),)
        output = build.tensor(flat, **values)
        build.operator(RESHAPE, [source, build.tensor((1,), INT32, data=flat)], [output])
    elif kind == EXPAND_DIMS:
        output = build.tensor(longer, **values)
        place = build.tensor((), INT32, data=[axis])
        build.operator(EXPAND_DIMS, [source, place], [output], schema.ExpandDimsOptionsT())
    else:
        output = build.tensor(shape, **values)
        build.operator(SQUEEZE, [source], [output], schema.SqueezeOptionsT(squeezeDims=[axis]))
    return build.pack([source], [output])


@st.composite
def transposes(draw: Draw) -> bytes:
    """Draw transpose."""
    build, shape, values = Builder(), draw(shapes(1, 5, 5)), quantized(draw)
    order = draw(st.permutations(range(len(shape))))
    source = build.tensor(shape, **values)
    output = build.tensor([shape[axis] for axis in order], **values)
    listed = build.tensor((len(order),), INT32, data=list(order))
    build.operator(TRANSPOSE, [source, listed], [output], schema.TransposeOptionsT(), 2)
    return build.pack([source], [output])


@st.composite
def pads(draw: Draw) -> bytes:
    """Draw pad or padv2."""
    build, shape, values = Builder(), draw(shapes(1, 4, 5)), quantized(draw)
    amounts = np.array([[draw(st.integers(0, 3)) for _ in "01"] for _ in shape])
    source = build.tensor(shape, **values)
    table = build.tensor(amounts.shape, INT32, data=amounts)
    output = build.tensor(np.add(shape, amounts.sum(axis=1)).tolist(), **values)
    if draw(st.booleans()):
        build.operator(PAD, [source, table], [output], schema.PadOptionsT(), 2)
    else:
        value = build.tensor((1,), **values, data=[draw(st.integers(-128, 127))])
        build.operator(PADV2, [source, table, value], [output], schema.PadV2OptionsT(), 2)
    return build.pack([source], [output])


@st.composite
def concatenations(draw: Draw) -> bytes:
    """Draw concatenation of one to four tensors, some of them constant."""
    build, rng = Builder(), np.random.default_rng(draw(seeds))
    shape, values = draw(shapes(1, 4, 5)), quantized(draw)
    axis, widths = (
        draw(st.integers(0, len(shape) - 1)),
        draw(st.lists(st.integers(1, 4), min_size=1, max_size=4)),
    )
    parts, inputs = [], []
    for place, width in enumerate(widths):
        part = (*shape[:axis], width, *shape[axis + 1 :])
        constant = place > 0 and draw(st.booleans())
        parts.append(build.tensor(part, **values, data=rng.integers(-128, 128, part) if constant else None))
        inputs += [] if constant else parts[-1:]
    output = build.tensor((*shape[:axis], sum(widths), *shape[axis + 1 :]), **values)
    options = schema.ConcatenationOptionsT(axis=axis - len(shape) if draw(st.booleans()) else axis)
    build.operator(CONCATENATION, parts, [output], options, 2)
    return build.pack(inputs, [output])


@st.composite
def packs(draw: Draw) -> bytes:
    """Draw pack of one to four tensors."""
    build, shape, values = Builder(), draw(shapes(1, 3, 5)), quantized(draw)
    count, axis = draw(st.integers(1, 4)), draw(st.integers(0, len(shape)))
    inputs = [build.tensor(shape, **values) for _ in range(count)]
    output = build.tensor((*shape[:axis], count, *shape[axis:]), **values)
    build.operator(PACK, inputs, [output], schema.PackOptionsT(valuesCount=count, axis=axis), 2)
    return build.pack(inputs, [output])


@st.composite
def splits(draw: Draw) -> bytes:
    """Draw split into equal parts, or split_v into parts of any size."""
    build, shape, values = Builder(), draw(shapes(1, 4, 4)), quantized(draw)
    axis, count = draw(st.integers(0, len(shape) - 1)), draw(st.integers(1, 4))
    equal = draw(st.booleans())
    widths = [shape[axis]] * count if equal else [draw(st.integers(1, 4)) for _ in range(count)]
    source = build.tensor((*shape[:axis], sum(widths), *shape[axis + 1 :]), **values)
    outputs = [build.tensor((*shape[:axis], width, *shape[axis + 1 :]), **values) for width in widths]
    place = build.tensor((), INT32, data=[axis])
    if equal:
        build.operator(SPLIT, [place, source], outputs, schema.SplitOptionsT(numSplits=count), 2)
    else:
        sizes = build.tensor((count,), INT32, data=widths)
        build.operator(SPLIT_V, [source, sizes, place], outputs, schema.SplitVOptionsT(numSplits=count), 2)
    return build.pack([source], outputs)


@st.composite
def strided_slices(draw: Draw) -> bytes:
    """Draw strided_slice: steps to both sides, bounds beyond the ends, masks, dimensions that are dropped."""
    build, shape, values = Builder(), draw(shapes(1, 4, 6)), quantized(draw)
    bounds: list[tuple[int, int, int]] = []
    masks = {"begin": 0, "end": 0, "shrink": 0}
    kept: list[int] = []
    for axis, size in enumerate(shape):
        while True:
            begin, end = (draw(st.integers(-size - 1, size + 1)) for _ in "be")
            step = draw(st.sampled_from([1, 1, 2, 3, -1, -2]))
            no_begin, no_end = draw(st.booleans()), draw(st.booleans())
            chosen = range(*slice(None if no_begin else begin, None if no_end else end, step).indices(size))
            if chosen:
                break
        shrink = -size <= begin < size and not no_begin and draw(st.booleans())
        bounds.append((begin, end, 1 if shrink else step))
        for name, is_set in (("begin", no_begin), ("end", no_end), ("shrink", shrink)):
            masks[name] |= is_set << axis
        kept += [] if shrink else [len(chosen)]
    source, output = build.tensor(shape, **values), build.tensor(kept, **values)
    listed = [build.tensor((len(shape),), INT32, data=list(column)) for column in zip(*bounds, strict=True)]
    options = schema.StridedSliceOptionsT(
        beginMask=masks["begin"], endMask=masks["end"], shrinkAxisMask=masks["shrink"]
    )
    build.operator(STRIDED_SLICE, [source, *listed], [output], options, 2)
    return build.pack([source], [output])


# --- Recurrent -------------------------------------------------------------------------------------------------------


@st.composite
def lstms(draw: Draw) -> bytes:
    """Draw unidirectional_sequence_lstm as Keras exports it, with small weights or with ones that saturate the gates."""
    build, rng = Builder(), np.random.default_rng(draw(seeds))
    batches, steps = draw(st.integers(1, 2)), draw(st.integers(1, 7))
    in_c, units = draw(st.integers(1, 10)), draw(st.integers(1, 10))
    loud = draw(st.sampled_from([1.0, 10.0]))
    source = build.tensor((batches, steps, in_c), scale=float(rng.uniform(0.005, 0.1)), zero_point=draw(ends))
    inputs = [source]
    for width in (in_c, units):
        for _ in range(4):
            scale = [float(rng.uniform(0.001, 0.03) * loud)]
            inputs.append(
                build.tensor((units, width), scale=scale, data=rng.integers(-127, 128, (units, width)))
            )
    biases = [
        build.tensor((units,), INT32, scale=[1e-4], data=rng.integers(-5000, 5000, units)) for _ in range(4)
    ]
    hidden = {"scale": float(rng.uniform(0.003, 0.009)), "zero_point": draw(ends)}
    state = build.tensor((batches, units), **hidden)
    cell = build.tensor((batches, units), INT16, scale=2.0 ** draw(st.integers(-15, -8)))
    for tensor in (state, cell):
        build.graph.tensors[tensor].isVariable = True
    output = build.tensor((batches, steps, units), **hidden)
    time_major = batches == 1 and draw(st.booleans())
    if time_major:
        for tensor in (source, output):
            found = build.graph.tensors[tensor]
            found.shape = [steps, 1, found.shape[2]]
    options = schema.UnidirectionalSequenceLSTMOptionsT(
        fusedActivationFunction=4,
        cellClip=draw(st.sampled_from([0.0, 10.0, 1.5, 0.3])),
        timeMajor=time_major,
    )
    build.operator(
        LSTM, [*inputs, -1, -1, -1, *biases, -1, -1, state, cell, -1, -1, -1, -1], [output], options, 1
    )
    return build.pack([source], [output])
