"""A tiny int8 model made by hand, whose answer is known: it hears "high" or "low" where its features are that."""

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as fb

from mltk.tflite import schema
from mltk.tflite.model import TfliteModel
from mltk.tflite.parameters import TfliteModelParameters

FRAMES, WIDTH = 4, 3


def make_model(**parameters: Any) -> TfliteModel:
    """Return a fully connected layer: the scores of "low" and "high" are minus and plus the sum of 12 features."""
    model = fb.ModelT()
    model.version, model.description, model.buffers = 3, "test", [fb.BufferT()]
    code = fb.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = fb.BuiltinOperator.FULLY_CONNECTED
    code.version = 4
    model.operatorCodes = [code]
    graph = fb.SubGraphT()
    model.subgraphs = [graph]
    n = FRAMES * WIDTH
    weights = np.stack([np.full(n, -1), np.full(n, 1)]).astype(np.int8)
    graph.tensors = [
        _tensor(model, "features", (1, n), fb.TensorType.INT8, 1.0),
        _tensor(model, "weights", (2, n), fb.TensorType.INT8, 1.0, weights),
        _tensor(model, "bias", (2,), fb.TensorType.INT32, 1.0, np.zeros(2, np.int32)),
        _tensor(model, "scores", (1, 2), fb.TensorType.INT8, float(n)),
    ]
    operator = fb.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0, 1, 2], [3]
    options = fb.FullyConnectedOptionsT()
    operator.builtinOptions, operator.builtinOptionsType = options, fb.BuiltinOptions.FullyConnectedOptions
    graph.operators, graph.inputs, graph.outputs = [operator], [0], [3]
    told = {"name": "levels", "classes": ["low", "high"], **parameters}
    return TfliteModel(TfliteModelParameters(told).add_to_tflite_flatbuffer(schema.pack(model)))


def _tensor(
    model: Any, name: str, shape: tuple[int, ...], kind: int, scale: float, data: np.ndarray | None = None
) -> Any:
    tensor = fb.TensorT()
    tensor.name, tensor.shape, tensor.type, tensor.buffer = name, list(shape), kind, 0
    quantization = fb.QuantizationParametersT()
    quantization.scale, quantization.zeroPoint = [scale], [0]
    tensor.quantization = quantization
    if data is not None:
        buffer = fb.BufferT()
        buffer.data = np.frombuffer(data.tobytes(), np.uint8)
        model.buffers.append(buffer)
        tensor.buffer = len(model.buffers) - 1
    return tensor


def features(level: int) -> np.ndarray:
    """Return features that are all the same."""
    return np.full((FRAMES, WIDTH), level, np.int8)
