"""Small keyword models made by hand with the .tflite schema's object API: a reshape and a dense layer."""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from mltk.tflite.parameters import TfliteModelParameters

FRONTEND = {
    "fe.sample_rate_hz": 16000,
    "fe.sample_length_ms": 500,
    "fe.window_size_ms": 30,
    "fe.window_step_ms": 20,
    "fe.filterbank_n_channels": 10,
    "fe.filterbank_upper_band_limit": 7500.0,
    "fe.filterbank_lower_band_limit": 125.0,
    "fe.noise_reduction_enable": True,
    "fe.log_scale_enable": True,
    "fe.log_scale_shift": 6,
}
N_FRAMES, N_CHANNELS = (500 - 30) // 20 + 1, 10
DETECTION = {
    "classes": ["loud", "_quiet_"],
    "average_window_duration_ms": 300,
    "minimum_count": 2,
    "detection_threshold": 150,
    "suppression_ms": 400,
    "latency_ms": 100,
    "volume_gain": 0,
}
TYPES = {np.dtype(np.int8): schema.TensorType.INT8, np.dtype(np.float32): schema.TensorType.FLOAT32}


def tensor(name, shape, dtype, buffer, scale, zero_point):
    made = schema.TensorT()
    made.name, made.shape, made.buffer = name, list(shape), buffer
    made.type = TYPES.get(np.dtype(dtype), schema.TensorType.INT32)
    if np.dtype(dtype) in (np.int8, np.int32):
        made.quantization = schema.QuantizationParametersT()
        made.quantization.scale, made.quantization.zeroPoint = [scale], [zero_point]
    return made


def make_tflite(weights, bias, dtype=np.int8, input_shape=None, parameters=None):
    """Return a .tflite whose classes' scores (0 to 1) are weights @ features + bias, saturating when int8.

    weights float [classes, frames * channels]; int8 features count as their integers.
    """
    weights, bias = np.asarray(weights, np.float32), np.asarray(bias, np.float32)
    n_classes, n_values = weights.shape
    input_shape = input_shape or (1, n_values)
    weight_scale = float(np.abs(weights).max() or 1) / 127
    if np.dtype(dtype) == np.int8:
        data = [
            np.rint(weights / weight_scale).astype(np.int8),
            np.rint(bias / weight_scale).astype(np.int32),
        ]
    else:
        data = [weights, bias]
    data.append(np.array([1, n_values], np.int32))
    buffers = [schema.BufferT() for _ in range(4)]
    for buffer, values in zip(buffers[1:], data, strict=True):
        buffer.data = list(values.tobytes())
    graph = schema.SubGraphT()
    graph.tensors = [
        tensor("features", input_shape, dtype, 0, 1.0, 0),
        tensor("weights", weights.shape, dtype, 1, weight_scale, 0),
        tensor("bias", bias.shape, data[1].dtype, 2, weight_scale, 0),
        tensor("scores", (1, n_classes), dtype, 0, 1 / 256, -128),
        tensor("shape", (2,), np.int32, 3, 1.0, 0),
        tensor("flat", (1, n_values), dtype, 0, 1.0, 0),
    ]
    graph.inputs, graph.outputs = [0], [3]
    reshape, dense = schema.OperatorT(), schema.OperatorT()
    reshape.inputs, reshape.outputs = [0, 4], [5]
    reshape.builtinOptionsType = schema.BuiltinOptions.ReshapeOptions
    reshape.builtinOptions = schema.ReshapeOptionsT()
    reshape.builtinOptions.newShape = [1, n_values]
    dense.inputs, dense.outputs, dense.opcodeIndex = [5, 1, 2], [3], 1
    dense.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
    dense.builtinOptions = schema.FullyConnectedOptionsT()
    graph.operators = [reshape, dense]
    codes = [schema.OperatorCodeT(), schema.OperatorCodeT()]
    for code, operator in zip(codes, ("RESHAPE", "FULLY_CONNECTED"), strict=True):
        code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, operator)
    model = schema.ModelT()
    model.version, model.subgraphs, model.operatorCodes, model.buffers = 3, [graph], codes, buffers
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    plain = bytes(builder.Output())
    if parameters is None:
        return plain
    return TfliteModelParameters(parameters).add_to_tflite_flatbuffer(plain)


def loud_model(dtype=np.int8, input_shape=(1, N_FRAMES, 1, N_CHANNELS), frontend=FRONTEND, **detection):
    """A model that hears loudness: the mean of the window's features, int8 -128..127 or uint16 0..666."""
    n_values = int(np.prod(input_shape))
    if np.dtype(dtype) == np.int8:
        weights, bias = np.full((2, n_values), 1 / n_values / 128), np.array([0.5, 0.5])
    else:
        weights, bias = np.full((2, n_values), 1 / n_values / 500), np.array([0.0, 1.0])
    weights[1] *= -1
    return make_tflite(
        weights, bias, dtype, input_shape, {**frontend, "name": "loud", **DETECTION, **detection}
    )


def noise_bursts(seconds, seed=0, rate_hz=16000, every_s=1.5, burst_s=0.7):
    """int16 near-silence with loud noise from every_s - burst_s to every_s, and so on."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * rate_hz)) / rate_hz
    level = np.where(time % every_s >= every_s - burst_s, 3000.0, 3.0)
    return (rng.normal(size=len(time)) * level).clip(-32768, 32767).astype(np.int16)
