"""Whole graphs with random weights, and the published models of the shared folder."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kernels_cases import FLOAT32, INT16, INT32, NONE, RELU, SAME, Array, Builder, schema

from mltk.models.loading import resolve_tflite
from mltk.tflite.model import TfliteModel
from mltk.tflite.plan.engine import NativeModel

Shape = tuple[int, ...]
_REPOSITORY = Path(__file__).parents[2]
SHARED_MODELS = (
    "tflite_micro_speech.mltk.zip",
    "keyword_spotting_alexa.mltk.zip",
    "keyword_spotting_on_off.tflite",
)


def shared_model(name: str) -> bytes:
    """Return the .tflite of a file in the shared folder's models; skips the test where there is none."""
    path = Path(os.environ.get("MLTK_SHARED_DIR", _REPOSITORY.parent / "shared")) / "models" / name
    if not path.exists():
        pytest.skip(f"{path} is not here (MLTK_SHARED_DIR)")
    return resolve_tflite(path)[0]


class Net:
    """Puts layers of random weights one behind the other."""

    def __init__(self, shape: Shape, seed: int = 0, **quantization: Any) -> None:
        self.build = Builder()
        self.rng = np.random.default_rng(seed)
        self.tensors: list[int] = []
        self.source = self.tensor(shape, **quantization)

    @property
    def last(self) -> int:
        """The tensor that was added last."""
        return self.tensors[-1]

    def shape(self, tensor: int | None = None) -> Shape:
        """Return a tensor's shape; the last one's without a number."""
        return tuple(self.build.graph.tensors[self.last if tensor is None else tensor].shape)

    def tensor(self, shape: Shape, **quantization: Any) -> int:
        """Add an int8 tensor, of a random scale and zero point where none are given."""
        if not quantization:
            quantization = {
                "scale": float(self.rng.uniform(0.02, 0.08)),
                "zero_point": int(self.rng.integers(-128, 128)),
            }
        self.tensors.append(self.build.tensor(shape, **quantization))
        return self.last

    def weights(self, shape: Shape, channels: int, axis: int = 0) -> int:
        """Add weights with a scale a channel, such that the sums use the output's range."""
        terms = np.prod(shape) / channels
        scales = (self.rng.uniform(0.5, 1.0, channels) / (40 * np.sqrt(terms))).tolist()
        return self.build.tensor(shape, scale=scales, data=self.rng.integers(-127, 128, shape), axis=axis)

    def bias(self, count: int) -> int:
        """Add a bias."""
        return self.build.tensor((count,), INT32, scale=[1e-4], data=self.rng.integers(-2000, 2000, count))

    def convolution(
        self, shape: Shape, strides: Shape = (1, 1), depthwise: bool = False, activation: int = NONE
    ) -> int:
        """Add conv_2d with SAME padding, [kernel_h, kernel_w, out_c], or a depthwise one."""
        source, (batch, height, width, in_c) = self.last, self.shape()
        kernel_h, kernel_w, out_c = shape
        size = (1, kernel_h, kernel_w, out_c) if depthwise else (out_c, kernel_h, kernel_w, in_c)
        inputs = [source, self.weights(size, out_c, 3 if depthwise else 0), self.bias(out_c)]
        options: dict[str, Any] = {
            "padding": SAME,
            "strideH": strides[0],
            "strideW": strides[1],
            "dilationHFactor": 1,
            "dilationWFactor": 1,
            "fusedActivationFunction": activation,
        }
        output = self.tensor((batch, -(-height // strides[0]), -(-width // strides[1]), out_c))
        if depthwise:
            options["depthMultiplier"] = out_c // in_c
            self.build.operator(4, inputs, [output], schema.DepthwiseConv2DOptionsT(**options), 3)
        else:
            self.build.operator(3, inputs, [output], schema.Conv2DOptionsT(**options), 3)
        return output

    def layer(
        self, code: int, shape: Shape, options: Any = None, extra: tuple[int, ...] = (), **keep: Any
    ) -> int:
        """Add an operator that reads the last tensor and `extra` ones; keep: the output's scale and zero point."""
        source, output = self.last, self.tensor(shape, **keep)
        self.build.operator(code, [source, *extra], [output], options, 2)
        return output

    def same(self, tensor: int | None = None) -> dict[str, Any]:
        """Return a tensor's scale and zero point."""
        found = self.build.graph.tensors[self.last if tensor is None else tensor].quantization
        return {"scale": float(found.scale[0]), "zero_point": int(found.zeroPoint[0])}

    def integers(self, *values: Any) -> int:
        """Add a constant int32 tensor."""
        data = np.array(values, np.int32)
        return self.build.tensor(data.shape, INT32, data=data)

    def dense(self, units: int) -> int:
        """Add fully_connected on all of the last tensor."""
        count = int(np.prod(self.shape()))
        extra = (self.weights((units, count), units), self.bias(units))
        return self.layer(9, (1, units), schema.FullyConnectedOptionsT(), extra)

    def softmax(self) -> int:
        """Add softmax."""
        options = schema.SoftmaxOptionsT(beta=1.0)
        return self.layer(25, self.shape(), options, scale=1 / 256, zero_point=-128)

    def pack(self) -> bytes:
        """Return the file: from the first tensor to the last."""
        return self.build.pack([self.source], [self.last])


def ds_cnn(seed: int = 0) -> bytes:
    """Return a file of `ds_cnn_net`."""
    return ds_cnn_net(seed).pack()


def ds_cnn_net(seed: int = 0) -> Net:
    """Make a graph of the shape of MLPerf Tiny's DS-CNN: 49 x 10 features, 64 channels, 12 words."""
    net = Net((1, 49, 10, 1), seed)
    net.convolution((10, 4, 64), (2, 2), activation=RELU)
    for _ in range(4):
        net.convolution((3, 3, 64), depthwise=True, activation=RELU)
        net.convolution((1, 1, 64), activation=RELU)
    pool = schema.Pool2DOptionsT(padding=1, strideW=5, strideH=25, filterWidth=5, filterHeight=25)
    net.layer(1, (1, 1, 1, 64), pool, **net.same())
    net.layer(22, (1, 64), extra=(net.integers(-1, 64),), **net.same())
    net.dense(12)
    net.softmax()
    return net


def convolutions(seed: int = 0) -> bytes:
    """Return a graph of convolutions of all kinds: odd channels, kernels of one to five cells, strides, multipliers."""
    rng = np.random.default_rng(1000 + seed)
    net = Net((1, 11, 9, int(rng.integers(1, 6))), seed)
    for place in range(6):
        kernel, strides = rng.integers(1, 6, 2).tolist(), (1, 1) if place else (2, 1)
        net.convolution((*kernel, int(rng.integers(1, 10))), strides)
        multiplier = int(rng.integers(1, 3))
        kernel = rng.integers(1, 6, 2).tolist()
        net.convolution((*kernel, multiplier * net.shape()[3]), depthwise=True)
    net.dense(int(rng.integers(1, 9)))
    return net.pack()


def everything(seed: int = 0) -> bytes:
    """Return a graph with every kernel: float32 [1, 9, 7, 3] in, float32 [1, 5] out."""
    net = Net((1, 9, 7, 3), seed)
    build, quantized = net.build, net.source
    net.source = build.tensor((1, 9, 7, 3), FLOAT32)
    build.operator(114, [net.source], [quantized], schema.QuantizeOptionsT())
    net.layer(
        34, (1, 10, 8, 3), schema.PadOptionsT(), (net.integers((0, 0), (1, 0), (0, 1), (0, 0)),), **net.same()
    )
    conv = net.convolution((3, 3, 6), (2, 1))
    net.convolution((3, 3, 12), depthwise=True)
    net.layer(39, (1, 5, 12, 8), schema.TransposeOptionsT(), (net.integers(0, 1, 3, 2),), **net.same())
    net.layer(45, (1, 5, 6, 8), schema.StridedSliceOptionsT(), _bounds(net), **net.same())
    net.layer(39, (1, 5, 8, 6), schema.TransposeOptionsT(), (net.integers(0, 1, 3, 2),), **net.same())
    net.layer(0, (1, 5, 8, 6), schema.AddOptionsT(), (conv,))
    factors = build.tensor((6,), scale=0.03, zero_point=5, data=net.rng.integers(-128, 128, 6))
    net.layer(18, (1, 5, 8, 6), schema.MulOptionsT(), (factors,))
    net.layer(99, (1, 5, 8, 6), schema.SquaredDifferenceOptionsT(), (conv,))
    net.layer(14, (1, 5, 8, 6), scale=1 / 256, zero_point=-128)
    window = {"padding": SAME, "strideW": 2, "strideH": 1, "filterWidth": 3, "filterHeight": 3}
    net.layer(17, (1, 5, 4, 6), schema.Pool2DOptionsT(**window), **net.same())
    window["strideW"] = 1
    net.layer(1, (1, 5, 4, 6), schema.Pool2DOptionsT(**window), **net.same())
    net.layer(40, (1, 5, 6), schema.ReducerOptionsT(), (net.integers(2),))
    _lstm(net, 7)
    net.dense(5)
    net.softmax()
    scores = net.last
    output = build.tensor((1, 5), FLOAT32)
    build.operator(6, [scores], [output], schema.DequantizeOptionsT(), 2)
    return build.pack([net.source], [output])


def _bounds(net: Net) -> tuple[int, ...]:
    return net.integers(0, 0, 11, 0), net.integers(1, 5, -13, 8), net.integers(1, 1, -2, 1)


def _lstm(net: Net, units: int) -> int:
    """Add unidirectional_sequence_lstm over [1, steps, values]."""
    (_, steps, width), inputs = net.shape(), [net.last]
    for count in (width, units):
        for _ in range(4):
            data = net.rng.integers(-127, 128, (units, count))
            inputs.append(net.build.tensor((units, count), scale=[0.01], data=data))
    inputs += [-1] * 3 + [net.bias(units) for _ in range(4)] + [-1] * 2
    hidden = {"scale": 1 / 128, "zero_point": 3}
    states = [
        net.build.tensor((1, units), **hidden),
        net.build.tensor((1, units), INT16, scale=2.0**-11),
    ]
    for state in states:
        net.build.graph.tensors[state].isVariable = True
    output = net.tensor((1, steps, units), **hidden)
    options = schema.UnidirectionalSequenceLSTMOptionsT(fusedActivationFunction=4, cellClip=10.0)
    net.build.operator(44, [*inputs, *states, *[-1] * 4], [output], options)
    return output


def sample(model: TfliteModel, seed: int) -> list[Array]:
    """Return random inputs; real numbers of a size that uses the range of what follows."""
    rng = np.random.default_rng(seed)
    return [
        rng.normal(0, 3, tensor.shape).astype(np.float32)
        if tensor.type_name == "float32"
        else rng.integers(-128, 128, tensor.shape, np.int8)
        for tensor in model.inputs
    ]


def tflm_layers(data: bytes, *inputs: Array) -> dict[int, Array]:
    """Return every tensor that an operator writes, by number, as tflite-micro computes it."""
    runtime = pytest.importorskip("tflite_micro.python.tflite_micro.runtime", reason="needs tflite-micro")
    keep = runtime.InterpreterConfig.kPreserveAllTensors
    interpreter = runtime.Interpreter.from_bytes(data, arena_size=2**22, intrepreter_config=keep)
    for place, value in enumerate(inputs):
        interpreter.set_input(value, place)
    interpreter.invoke()
    outputs = {tensor.index for layer in TfliteModel(data).layers for tensor in layer.outputs}
    return {index: np.array(interpreter.GetTensor(index, 0)["tensor_data"]) for index in outputs}


def assert_layers_equal_tflm(data: bytes, seed: int) -> None:
    """Compare every layer's output with tflite-micro's."""
    model = TfliteModel(data)
    inputs = sample(model, seed)
    expected = tflm_layers(data, *inputs)
    for number, outputs in NativeModel(model).layers(*inputs):
        layer = model.layers[number]
        for tensor, got in zip(layer.outputs, outputs, strict=True):
            wrong = np.count_nonzero(got != expected[tensor.index].reshape(got.shape))
            assert wrong == 0, f"layer {number} ({layer.name}): {wrong} of {got.size} values differ"
