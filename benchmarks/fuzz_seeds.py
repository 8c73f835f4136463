"""Small sound models to begin damaging with: together they have every operator that mltk compiles."""

import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "tflite"))
from tflite_models import FLOAT32, INT16, INT32, Builder, schema, tiny_keyword_model

POSTERIOR = {"scale": 1 / 256, "zero_point": -128}
RNG = np.random.default_rng(7)


def weights(build: Builder, shape: tuple[int, ...], **arguments: Any) -> int:
    return build.tensor(shape, data=RNG.integers(-127, 128, shape), **arguments)


def numbers(build: Builder, values: Any) -> int:
    return build.tensor(np.shape(values), INT32, data=values)


def convolutions() -> bytes:
    """depthwise_conv_2d, conv_2d, add, both poolings, mean, fully_connected, logistic."""
    build, values = Builder(), {"scale": 0.1, "zero_point": -5}
    source = build.tensor((1, 6, 5, 2), **values)
    deep = build.tensor((1, 6, 5, 4), **values)
    kernel = weights(build, (1, 3, 2, 4), scale=[0.01, 0.02, 0.03, 0.04], axis=3)
    bias = build.tensor((4,), INT32, scale=[0.001] * 4, data=[10, -20, 30, -40])
    build.operator(
        4,
        [source, kernel, bias],
        [deep],
        schema.DepthwiseConv2DOptionsT(0, 1, 1, 2, 1, 1, 1),
        2,
    )
    mixed = build.tensor((1, 6, 5, 4), scale=0.2, zero_point=3)
    kernel = weights(build, (4, 1, 1, 4), scale=0.01)
    build.operator(3, [deep, kernel, bias], [mixed], schema.Conv2DOptionsT(0, 1, 1, 0, 1, 1), 2)
    total = build.tensor((1, 6, 5, 4), scale=0.25, zero_point=0)
    build.operator(0, [deep, mixed], [total], schema.AddOptionsT(1), 2)
    halves = build.tensor((1, 3, 3, 4), scale=0.25, zero_point=0)
    build.operator(17, [total], [halves], schema.Pool2DOptionsT(0, 2, 2, 2, 2, 0), 2)
    pooled = build.tensor((1, 2, 2, 4), scale=0.25, zero_point=0)
    build.operator(1, [halves], [pooled], schema.Pool2DOptionsT(1, 1, 1, 2, 2, 1), 2)
    mean = build.tensor((1, 4), scale=0.2, zero_point=1)
    build.operator(40, [pooled, numbers(build, [1, 2])], [mean], schema.ReducerOptionsT(False), 2)
    logits = build.tensor((1, 3), scale=0.1, zero_point=2)
    build.operator(
        9, [mean, weights(build, (3, 4), scale=0.02), -1], [logits], schema.FullyConnectedOptionsT(), 4
    )
    scores = build.tensor((1, 3), **POSTERIOR)
    build.operator(14, [logits], [scores])
    return build.pack([source], [scores])


def moves() -> bytes:
    """transpose, pad, padv2, concatenation, strided_slice, split, split_v, pack, reshape, expand_dims, squeeze."""
    build, values = Builder(), {"scale": 0.1, "zero_point": -5}

    def new(*shape: int) -> int:
        return build.tensor(shape, **values)

    source, turned, padded, joined, part = (
        new(2, 3, 4),
        new(4, 2, 3),
        new(5, 2, 5),
        new(5, 4, 5),
        new(2, 4, 3),
    )
    build.operator(39, [source, numbers(build, [2, 0, 1])], [turned], schema.TransposeOptionsT(), 2)
    build.operator(34, [turned, numbers(build, [[0, 1], [0, 0], [1, 1]])], [padded], schema.PadOptionsT(), 2)
    extra = weights(build, (5, 2, 5), **values)
    build.operator(2, [padded, extra], [joined], schema.ConcatenationOptionsT(1), 2)
    bounds = [numbers(build, list(v)) for v in ((4, 0, 0), (0, 4, 5), (-2, 1, 2))]
    build.operator(45, [joined, *bounds], [part], schema.StridedSliceOptionsT(), 2)
    left, right, long, short = new(2, 2, 3), new(2, 2, 3), new(2, 2, 2), new(2, 2, 1)
    build.operator(49, [numbers(build, 1), part], [left, right], schema.SplitOptionsT(2), 2)
    build.operator(
        102, [left, numbers(build, [2, 1]), numbers(build, 2)], [long, short], schema.SplitVOptionsT(2), 2
    )
    both, again = new(2, 2, 2, 3), new(2, 2, 3)
    build.operator(83, [left, right], [both], schema.PackOptionsT(2, 1), 2)
    build.operator(
        60, [long, numbers(build, [[0, 0], [0, 0], [1, 0]]), weights(build, (1,), **values)], [again], None, 2
    )
    flat, wide, narrow = new(24), new(1, 24), new(24)
    build.operator(22, [both, numbers(build, [24])], [flat])
    build.operator(70, [flat, numbers(build, 0)], [wide], schema.ExpandDimsOptionsT())
    build.operator(43, [wide], [narrow], schema.SqueezeOptionsT([0]))
    return build.pack([source], [narrow, again, short])


def functions() -> bytes:
    """quantize, mul, sub, squared_difference, rsqrt, relu, relu6, tanh, dequantize; constants that are repeated."""
    build = Builder()

    def new(scale: float = 0.05, zero: int = 4) -> int:
        return build.tensor((2, 3, 4), scale=scale, zero_point=zero)

    source, quantized, product, less, square = (
        build.tensor((2, 3, 4), FLOAT32),
        new(),
        new(),
        new(0.1),
        new(0.3),
    )
    build.operator(114, [source], [quantized], schema.QuantizeOptionsT())
    row = weights(build, (1, 1, 4), scale=0.01, zero_point=3)
    one = weights(build, (1,), scale=0.01, zero_point=3)
    build.operator(18, [quantized, row], [product], schema.MulOptionsT(), 2)
    build.operator(41, [product, one], [less], schema.SubOptionsT(3), 2)
    build.operator(99, [less, quantized], [square], schema.SquaredDifferenceOptionsT())
    root, up, six, bent = new(0.02, -128), new(0.02), new(0.02), build.tensor((2, 3, 4), scale=1 / 128)
    build.operator(
        76, [square], [root], schema.RsqrtOptionsT() if hasattr(schema, "RsqrtOptionsT") else None, 2
    )
    build.operator(19, [root], [up], None, 2)
    build.operator(21, [up], [six], None, 2)
    build.operator(28, [six], [bent], None, 2)
    other, output = build.tensor((2, 3, 4), scale=0.01, zero_point=9), build.tensor((2, 3, 4), FLOAT32)
    build.operator(114, [bent], [other], schema.QuantizeOptionsT())
    build.operator(6, [other], [output], schema.DequantizeOptionsT(), 2)
    return build.pack([source], [output])


def recurrent() -> bytes:
    """unidirectional_sequence_lstm, strided_slice, fully_connected, softmax."""
    build, hidden = Builder(), {"scale": 0.0078, "zero_point": -3}
    source = build.tensor((1, 4, 3), scale=0.05, zero_point=-10)
    inputs = [source]
    for width in (3, 5):
        inputs += [weights(build, (5, width), scale=0.01) for _ in range(4)]
    biases = [build.tensor((5,), INT32, scale=1e-4, data=RNG.integers(-3000, 3000, 5)) for _ in range(4)]
    state, cell = build.tensor((1, 5), **hidden), build.tensor((1, 5), INT16, scale=2.0**-11)
    for tensor in (state, cell):
        build.graph.tensors[tensor].isVariable = True
    output = build.tensor((1, 4, 5), **hidden)
    options = schema.UnidirectionalSequenceLSTMOptionsT(4, 10.0, 0.0, False)
    build.operator(
        44, [*inputs, -1, -1, -1, *biases, -1, -1, state, cell, -1, -1, -1, -1], [output], options, 1
    )
    last, logits = build.tensor((1, 5), **hidden), build.tensor((1, 3), scale=0.1, zero_point=2)
    bounds = [numbers(build, list(v)) for v in ((0, -1, 0), (1, 0, 5), (1, 1, 1))]
    build.operator(45, [output, *bounds], [last], schema.StridedSliceOptionsT(5, 5, 0, 0, 2), 2)
    build.operator(
        9, [last, weights(build, (3, 5), scale=0.02)], [logits], schema.FullyConnectedOptionsT(), 4
    )
    scores = build.tensor((1, 3), **POSTERIOR)
    build.operator(25, [logits], [scores], schema.SoftmaxOptionsT(1.0), 2)
    return build.pack([source], [scores])


def seed_models() -> dict[str, bytes]:
    """Return the models by name; always the same ones."""
    global RNG  # noqa: PLW0603
    RNG = np.random.default_rng(7)
    return {
        "keywords": tiny_keyword_model(),
        "convolutions": convolutions(),
        "moves": moves(),
        "functions": functions(),
        "recurrent": recurrent(),
    }
