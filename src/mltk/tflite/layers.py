"""The tensors and operators of a .tflite as plain records, and how the operator table words them."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mltk.tflite import schema
from mltk.utils.errors import TfliteError

# TensorType -> numpy's type; what is not here has none (strings, resources, 2 and 4 bit numbers, bfloat16).
NUMPY_TYPES = {
    "FLOAT32": np.float32,
    "FLOAT16": np.float16,
    "FLOAT64": np.float64,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
    "BOOL": np.bool_,
    "COMPLEX64": np.complex64,
    "COMPLEX128": np.complex128,
}

# dilationWFactor -> dilation_w_factor
_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")

_POOL = (
    "Padding:{padding} stride:{stride_w}x{stride_h} filter:{filter_width}x{filter_height} "
    "activation:{activation}"
)
# (operator, kind of its options) -> how the operator table words them; the others show the kind of their
# options.
_CONFIGS = {
    ("conv_2d", "Conv2DOptions"): "Padding:{padding} stride:{stride_w}x{stride_h} activation:{activation}",
    ("depthwise_conv_2d", "DepthwiseConv2DOptions"): (
        "Multiplier:{depth_multiplier} padding:{padding} stride:{stride_w}x{stride_h} activation:{activation}"
    ),
    ("average_pool_2d", "Pool2DOptions"): _POOL,
    ("max_pool_2d", "Pool2DOptions"): _POOL,
    ("l2_pool_2d", "Pool2DOptions"): _POOL,
    ("fully_connected", "FullyConnectedOptions"): "Activation:{activation}",
    ("add", "AddOptions"): "Activation:{activation}",
    ("mul", "MulOptions"): "Activation:{activation}",
    ("unidirectional_sequence_lstm", "UnidirectionalSequenceLSTMOptions"): (
        "Time major:{time_major}, Activation:{activation}, Cell clip:{cell_clip}"
    ),
}


@dataclass(frozen=True)
class TfliteTensor:
    """One tensor of a graph.

    Attributes:
        index: its number in the graph.
        name: its name in the graph.
        shape: its dimensions, the batch among them.
        shape_signature: the same with -1 where the size is free.
        type_name: its type in lower case, such as "int8".
        scales: real = (quantized - zero_point) * scale; one for the tensor, one a channel, or none.
        zero_points: as many as `scales`.
        quantized_dimension: the channels' axis where there are several scales.
        buffer: the number of the buffer with its constant bytes; 0: none.
        is_variable: it keeps its value between inferences (an LSTM's state).

    """

    index: int
    name: str
    shape: tuple[int, ...]
    shape_signature: tuple[int, ...]
    type_name: str
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    quantized_dimension: int
    buffer: int
    is_variable: bool

    @property
    def dtype(self) -> np.dtype[Any]:
        """Its numpy type.

        Raises:
            TfliteError: numpy has none for it.

        """
        found = NUMPY_TYPES.get(self.type_name.upper())
        if found is None:
            raise TfliteError(
                f"Tensor {self.name!r} is of the type {self.type_name}, which numpy does not have"
            )
        return np.dtype(found)

    @property
    def scale(self) -> float:
        """The scale of a tensor that is quantized as a whole; 0.0 where it is not quantized."""
        return self.scales[0] if self.scales else 0.0

    @property
    def zero_point(self) -> int:
        """The zero point of a tensor that is quantized as a whole; 0 where it is not quantized."""
        return self.zero_points[0] if self.zero_points else 0

    @property
    def size(self) -> int:
        """The number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    def quantize(self, values: npt.ArrayLike) -> npt.NDArray[Any]:
        """Return real numbers as integers, rounded as the QUANTIZE operator does (half away from zero)."""
        limits = np.iinfo(self.dtype)
        scaled = np.asarray(values, dtype=np.float32) / np.float32(self.scale)
        rounded = np.copysign(np.floor(np.abs(scaled) + 0.5), scaled) + self.zero_point
        quantized: npt.NDArray[Any] = np.clip(rounded, limits.min, limits.max).astype(self.dtype)
        return quantized

    def dequantize(self, values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return this tensor's values as float32: (q - zero_point) * scale where it is quantized."""
        if not self.scales or values.dtype.kind == "f":
            return values.astype(np.float32)
        return (values.astype(np.float32) - np.float32(self.zero_point)) * np.float32(self.scale)

    def __str__(self) -> str:
        return f"{shape_text(self.shape)} ({self.type_name})"


@dataclass(frozen=True)
class TfliteLayer:
    """One operator of a graph.

    Attributes:
        index: its place in the order of execution.
        name: the operator in lower case, such as "conv_2d".
        inputs: None stands where an optional input is left out.
        outputs: what it computes.
        options: its settings by name, such as {"stride_w": 2}; enums as numbers.
        config: the settings in the words of the operator table.
        macs: multiply-accumulate operations of one inference.
        ops: all arithmetic operations of one inference, 2 a MAC (see `cost.py`).

    """

    index: int
    name: str
    inputs: tuple[TfliteTensor | None, ...]
    outputs: tuple[TfliteTensor, ...]
    options: dict[str, Any]
    config: str
    macs: int
    ops: int


def shape_text(shape: tuple[int, ...]) -> str:
    """Return '49x40x1' for (1, 49, 40, 1): the leading dimension is left out where there are others."""
    return "x".join(map(str, shape[1:] if len(shape) > 1 else shape))


def read_tensor(index: int, tensor: Any) -> TfliteTensor:
    """Return a record of the schema's `TensorT`."""
    quantization = tensor.quantization
    scales = _list(quantization.scale) if quantization else []
    zero_points = _list(quantization.zeroPoint) if quantization else []
    shape = tuple(int(size) for size in _list(tensor.shape))
    return TfliteTensor(
        index=index,
        name=schema.text(tensor.name),
        shape=shape,
        shape_signature=tuple(int(size) for size in _list(tensor.shapeSignature)) or shape,
        type_name=schema.enum_name("TensorType", tensor.type).lower(),
        scales=tuple(float(scale) for scale in scales),
        zero_points=tuple(int(zero) for zero in zero_points) or (0,) * len(scales),
        quantized_dimension=int(quantization.quantizedDimension) if quantization else 0,
        buffer=int(tensor.buffer),
        is_variable=bool(tensor.isVariable),
    )


def opcode_name(code: Any) -> str:
    """Return the operator of the schema's `OperatorCodeT` in lower case; a custom operator's own name."""
    # Old files have the number in the deprecated byte only, files with large numbers 127 in there.
    name = schema.enum_name("BuiltinOperator", max(code.builtinCode, code.deprecatedBuiltinCode))
    return (schema.text(code.customCode) if name == "CUSTOM" else name).lower()


def read_options(operator: Any) -> dict[str, Any]:
    """Return the settings of the schema's `OperatorT` by name in snake case."""
    options = vars(operator.builtinOptions) if operator.builtinOptions is not None else {}
    return {_WORD_START.sub("_", name).lower(): value for name, value in options.items()}


def _list(values: Any) -> list[Any]:
    return [] if values is None else list(values)


def config_text(name: str, options: dict[str, Any], options_type: int) -> str:
    """Return an operator's settings as the operator table has them."""
    padding = schema.enum_name("Padding", options.get("padding", 0)).capitalize()
    activation = schema.enum_name(
        "ActivationFunctionType", options.get("fused_activation_function", 0)
    ).capitalize()
    words = {**options, "padding": padding, "activation": activation}
    kind = schema.enum_name("BuiltinOptions", options_type)
    if (name, kind) in _CONFIGS:
        return _CONFIGS[name, kind].format_map(words)
    return f"Type={kind.lower()}"
