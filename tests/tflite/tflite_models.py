"""Small .tflite files made by hand with the schema's object API: no converter, no shared files."""

from collections.abc import Sequence
from typing import Any

import ai_edge_litert.schema_py_generated as schema
import flatbuffers
import numpy as np

FLOAT32, INT32, INT8, INT16 = 0, 2, 9, 7
TYPES = {FLOAT32: np.float32, INT32: np.int32, INT8: np.int8, INT16: np.int16}


class Builder:
    """Collects tensors and operators of one graph."""

    def __init__(self) -> None:
        self.model = schema.ModelT(
            version=3, description="made by hand", operatorCodes=[], buffers=[schema.BufferT()]
        )
        self.graph = schema.SubGraphT(tensors=[], operators=[], name="main")
        self.model.subgraphs = [self.graph]

    def tensor(
        self,
        shape: Sequence[int],
        kind: int = INT8,
        scale: float | Sequence[float] | None = None,
        zero_point: int = 0,
        data: Any = None,
        axis: int = 0,
    ) -> int:
        """Add a tensor; constant where data is given. Return its index."""
        tensor = schema.TensorT(shape=list(shape), type=kind, name=f"t{len(self.graph.tensors)}", buffer=0)
        if scale is not None:
            scales = [scale] if isinstance(scale, float) else list(scale)
            tensor.quantization = schema.QuantizationParametersT(
                scale=scales, zeroPoint=[zero_point] * len(scales), quantizedDimension=axis
            )
        if data is not None:
            tensor.buffer = len(self.model.buffers)
            raw = np.ascontiguousarray(data, dtype=TYPES[kind]).tobytes()
            self.model.buffers.append(schema.BufferT(data=np.frombuffer(raw, np.uint8)))
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def operator(
        self, code: int, inputs: Sequence[int], outputs: Sequence[int], options: Any = None, version: int = 1
    ) -> Any:
        """Add an operator; `options` is an object such as Conv2DOptionsT."""
        self.model.operatorCodes.append(
            schema.OperatorCodeT(builtinCode=code, deprecatedBuiltinCode=min(code, 127), version=version)
        )
        kind = getattr(schema.BuiltinOptions, type(options).__name__[:-1]) if options is not None else 0
        operator = schema.OperatorT(
            opcodeIndex=len(self.model.operatorCodes) - 1,
            inputs=list(inputs),
            outputs=list(outputs),
            builtinOptionsType=kind,
            builtinOptions=options,
        )
        self.graph.operators.append(operator)
        return operator

    def pack(self, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        """Return the file."""
        self.graph.inputs, self.graph.outputs = list(inputs), list(outputs)
        return pack(self.model)


def pack(model: Any) -> bytes:
    """Return the bytes of a ModelT."""
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def unpack(data: bytes) -> Any:
    """Return a file as ModelT."""
    return schema.ModelT.InitFromPackedBuf(data, 0)


def tiny_keyword_model(free_batch: bool = True, seed: int = 0) -> bytes:
    """Return conv_2d + reshape + fully_connected + softmax in int8: 5 x 4 features in, 3 posteriors out."""
    rng = np.random.default_rng(seed)
    build = Builder()
    source = build.tensor((1, 5, 4, 1), scale=1.0)
    weights = build.tensor((2, 3, 2, 1), scale=[0.01, 0.02], data=rng.integers(-127, 128, (2, 3, 2, 1)))
    bias = build.tensor((2,), INT32, scale=[0.01, 0.02], data=rng.integers(-200, 200, 2))
    hidden = build.tensor((1, 3, 2, 2), scale=0.05, zero_point=-128)
    shape = build.tensor((2,), INT32, data=[-1, 12])
    flat = build.tensor((1, 12), scale=0.05, zero_point=-128)
    dense = build.tensor((3, 12), scale=0.003, data=rng.integers(-127, 128, (3, 12)))
    dense_bias = build.tensor((3,), INT32, scale=0.00015, data=rng.integers(-50, 50, 3))
    logits = build.tensor((1, 3), scale=0.05, zero_point=3)
    posteriors = build.tensor((1, 3), scale=1 / 256, zero_point=-128)
    if free_batch:
        for index in (source, hidden, flat, logits, posteriors):
            tensor = build.graph.tensors[index]
            tensor.shapeSignature = [-1, *tensor.shape[1:]]
    same, relu = 0, 1
    build.operator(3, [source, weights, bias], [hidden], _conv(same, relu), version=3)
    build.operator(22, [hidden, shape], [flat])
    build.operator(9, [flat, dense, dense_bias], [logits], schema.FullyConnectedOptionsT(), version=4)
    build.operator(25, [logits], [posteriors], schema.SoftmaxOptionsT(beta=1.0), version=2)
    return build.pack([source], [posteriors])


def _conv(padding: int, activation: int) -> Any:
    return schema.Conv2DOptionsT(
        padding=padding,
        strideW=2,
        strideH=2,
        fusedActivationFunction=activation,
        dilationWFactor=1,
        dilationHFactor=1,
    )
