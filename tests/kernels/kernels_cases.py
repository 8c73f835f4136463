"""Graphs of one operator, and the comparison with TFLM that every kernel is held to.

A test draws a graph from the strategies below (or makes its own with `Builder`) and calls `assert_equals_tflm`, which
runs it with the PyPI package tflite-micro and with mltk's kernels on the same random inputs.
"""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ai_edge_litert.schema_py_generated as schema
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from mltk.tflite.model import TfliteModel
from mltk.tflite.plan.engine import NativeModel

sys.path.insert(0, str(Path(__file__).parents[1] / "tflite"))
from tflite_models import FLOAT32, INT8, INT16, INT32, Builder

__all__ = ["FLOAT32", "INT8", "INT16", "INT32", "Builder", "schema"]

SAME, VALID = 0, 1
NONE, RELU, RELU_N1_TO_1, RELU6 = 0, 1, 2, 3
Array = npt.NDArray[Any]
_ARENA_BYTES = 2**20


def many(max_examples: int) -> settings:
    """Return hypothesis's settings: always the same examples, no time limit of an example on a busy machine.

    The environment variable MLTK_KERNEL_EXAMPLES sets the number of examples of every operator.
    """
    return settings(
        derandomize=True,
        deadline=None,
        max_examples=int(os.environ.get("MLTK_KERNEL_EXAMPLES", max_examples)),
        database=None,
        suppress_health_check=list(HealthCheck),
    )


# --- Running and comparing -------------------------------------------------------------------------------------------


def run_tflm(data: bytes, *inputs: Array, runs: int = 1) -> list[Array]:
    """Return the outputs of a .tflite run by the PyPI package tflite-micro: TFLM's reference kernels.

    Args:
        data: the file.
        inputs: the graph's inputs.
        runs: inferences with these inputs; a graph with state remembers the earlier ones.

    """
    runtime = pytest.importorskip("tflite_micro.python.tflite_micro.runtime", reason="needs tflite-micro")
    # Without a size it gives ten times the file's, which a large input does not fit in.
    interpreter = runtime.Interpreter.from_bytes(data, arena_size=_ARENA_BYTES)
    for place, value in enumerate(inputs):
        interpreter.set_input(np.ascontiguousarray(value), place)
    for _ in range(runs):
        interpreter.invoke()
    return [np.array(interpreter.get_output(place)) for place in range(len(TfliteModel(data).outputs))]


def random_values(rng: np.random.Generator, shape: Sequence[int], dtype: Any) -> Array:
    """Return values over the whole range of an integer type; floats of all sizes that an int8 tensor knows."""
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return rng.normal(0, rng.choice([0.1, 1, 20]), shape).astype(kind)
    limits = np.iinfo(kind)
    return rng.integers(limits.min, limits.max, shape, kind, endpoint=True)


def random_inputs(model: TfliteModel, rng: np.random.Generator) -> list[Array]:
    """Return random values for every input of a graph."""
    return [random_values(rng, tensor.shape, tensor.dtype) for tensor in model.inputs]


def assert_equals_tflm(data: bytes, *inputs: Array, seed: int = 0, tolerance: float = 0) -> list[Array]:
    """Run a graph on TFLM and on mltk's kernels and compare every output.

    Args:
        data: the .tflite file.
        inputs: its inputs; random ones without.
        seed: of the random inputs.
        tolerance: how far outputs may be apart: 0, but where TFLM itself computes in float.

    Returns:
        The outputs.

    """
    model = TfliteModel(data)
    values = list(inputs) or random_inputs(model, np.random.default_rng(seed))
    expected = run_tflm(data, *values)
    native = NativeModel(model)
    for attempt in ("first", "second"):  # the second finds what the first left in the arena
        for place, (got, wanted) in enumerate(zip(native.run(*values), expected, strict=True)):
            assert got.dtype == wanted.dtype
            assert got.shape == wanted.shape
            apart = np.abs(got.astype(np.float64) - wanted.astype(np.float64))
            assert apart.max(initial=0) <= tolerance, (
                f"output {place}, {attempt} run: {np.count_nonzero(apart > tolerance)} of {apart.size} differ "
                f"by up to {apart.max()}: {[layer.config for layer in model.layers]}"
            )
    return expected


# --- Strategies --------------------------------------------------------------------------------------------------------

zero_points = st.integers(-128, 127)
seeds = st.integers(0, 2**32 - 1)
activations = st.sampled_from([NONE, RELU, RELU_N1_TO_1, RELU6])
paddings = st.sampled_from([SAME, VALID])


def shapes(min_dims: int = 1, max_dims: int = 4, largest: int = 9) -> st.SearchStrategy[tuple[int, ...]]:
    """Return shapes of a few dimensions."""
    return st.lists(st.integers(1, largest), min_size=min_dims, max_size=max_dims).map(tuple)


def input_and_output(draw: Callable[..., Any], weight_scale: float) -> list[dict[str, Any]]:
    """Draw scales and zero points of a layer with weights: outputs from nearly nothing to saturated."""
    scale = 2.0 ** draw(st.floats(-12, 3))
    factor = 2.0 ** draw(st.floats(-4, 14))
    points = st.one_of(st.sampled_from([-128, 127, 0]), zero_points)
    return [{"scale": value, "zero_point": draw(points)} for value in (scale, scale * weight_scale * factor)]


def random_bias(draw: Callable[..., Any], rng: np.random.Generator, count: int) -> Array:
    """Draw a bias of the sums' size or much larger."""
    largest = draw(st.sampled_from([3000, 2**24]))
    return rng.integers(-largest, largest, count)


def window_out(size: int, kernel: int, stride: int, dilation: int, padding: int) -> int:
    """Return TensorFlow's number of positions of a sliding window."""
    reach = (kernel - 1) * dilation + 1 if padding == VALID else 1
    return -(-(size - reach + 1) // stride)


@st.composite
def windows(draw: Callable[..., Any], dilated: bool = True) -> dict[str, int]:
    """Draw the geometry of a sliding window over [height, width]: sizes, kernel, strides, dilations, padding."""
    padding = draw(paddings)
    found = {"padding": padding}
    for axis in "hw":
        size, kernel = draw(st.integers(1, 12)), draw(st.integers(1, 5))
        stride, dilation = draw(st.integers(1, 3)), draw(st.integers(1, 3)) if dilated else 1
        if padding == VALID:
            size += (kernel - 1) * dilation
        found |= {f"size_{axis}": size, f"kernel_{axis}": kernel, f"stride_{axis}": stride}
        found |= {
            f"dilation_{axis}": dilation,
            f"out_{axis}": window_out(size, kernel, stride, dilation, padding),
        }
    return found


@st.composite
def convolutions(draw: Callable[..., Any], depthwise: bool) -> bytes:
    """Draw a graph of one convolution."""
    build, window = Builder(), draw(windows())
    rng = np.random.default_rng(draw(seeds))
    batches, in_c = draw(st.integers(1, 2)), draw(st.integers(1, 9))
    multiplier = draw(st.integers(1, 3)) if depthwise else 1
    out_c = in_c * multiplier if depthwise else draw(st.integers(1, 9))
    kernel = (window["kernel_h"], window["kernel_w"])
    shape = (1, *kernel, out_c) if depthwise else (out_c, *kernel, in_c)
    weight_scales = rng.uniform(0.001, 0.02, out_c if draw(st.booleans()) else 1).tolist()
    ends = input_and_output(draw, max(weight_scales))
    source = build.tensor((batches, window["size_h"], window["size_w"], in_c), **ends[0])
    weights = build.tensor(
        shape, scale=weight_scales, data=rng.integers(-128, 128, shape), axis=3 if depthwise else 0
    )
    bias = build.tensor((out_c,), INT32, scale=[1e-4], data=random_bias(draw, rng, out_c))
    output = build.tensor((batches, window["out_h"], window["out_w"], out_c), **ends[1])
    options: dict[str, int] = {
        "padding": window["padding"],
        "strideW": window["stride_w"],
        "strideH": window["stride_h"],
        "dilationWFactor": window["dilation_w"],
        "dilationHFactor": window["dilation_h"],
        "fusedActivationFunction": draw(activations),
    }
    # tflite-micro reads through a null pointer in a depthwise convolution without a bias.
    inputs = [source, weights, bias if depthwise or draw(st.booleans()) else -1]
    if depthwise:
        build.operator(
            4, inputs, [output], schema.DepthwiseConv2DOptionsT(depthMultiplier=multiplier, **options), 3
        )
    else:
        build.operator(3, inputs, [output], schema.Conv2DOptionsT(**options), 3)
    return build.pack([source], [output])


@st.composite
def fully_connecteds(draw: Callable[..., Any]) -> bytes:
    """Draw a graph of one fully connected layer, with one scale or one a channel."""
    build = Builder()
    rng = np.random.default_rng(draw(seeds))
    rows, in_c, out_c = draw(st.integers(1, 4)), draw(st.integers(1, 40)), draw(st.integers(1, 12))
    count = out_c if draw(st.booleans()) else 1
    weight_scales = rng.uniform(0.001, 0.02, count).tolist()
    ends = input_and_output(draw, max(weight_scales))
    source = build.tensor((rows, in_c), **ends[0])
    weights = build.tensor((out_c, in_c), scale=weight_scales, data=rng.integers(-128, 128, (out_c, in_c)))
    bias_scales = [ends[0]["scale"] * scale for scale in weight_scales]
    bias = build.tensor((out_c,), INT32, scale=bias_scales, data=random_bias(draw, rng, out_c))
    output = build.tensor((rows, out_c), **ends[1])
    options = schema.FullyConnectedOptionsT(fusedActivationFunction=draw(activations))
    build.operator(9, [source, weights, bias if draw(st.booleans()) else -1], [output], options, 4)
    return build.pack([source], [output])
