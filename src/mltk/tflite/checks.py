"""Does what a .tflite says of itself fit together? Asked before a model is described or given to an
interpreter.

LiteRT and TensorFlow Lite Micro are C++ and trust the numbers in a file: an operator that names a tensor
that is not there, or weights shorter than their shape, would read outside the memory and end the process.
Each rule here stands for such a case.
"""

import math
from typing import Any

from mltk.tflite import schema
from mltk.tflite.layers import NUMPY_TYPES, opcode_name
from mltk.utils.errors import TfliteError

LARGEST_TENSOR_BYTES = 2**28
MOST_DIMENSIONS = 8


class GraphError(TfliteError):
    """A graph contradicts itself; the text is the reason, for a sentence that names the file."""


def check_graph(model: Any) -> None:
    """Check the indices, shapes and sizes of a parsed model.

    Args:
        model: the schema's `ModelT`.

    Raises:
        GraphError: the first contradiction that was found.

    """
    if model.version != 3:
        raise GraphError(f"its schema has version {model.version} instead of 3")
    if not model.subgraphs or not model.buffers or not model.operatorCodes:
        raise GraphError("it has no graph")
    for metadata in model.metadata or []:
        if metadata.buffer >= len(model.buffers):
            raise GraphError(
                f"its metadata {schema.text(metadata.name)!r} names the buffer {metadata.buffer}"
            )
    for index, buffer in enumerate(model.buffers):
        if buffer.offset or buffer.size:
            raise GraphError(f"its buffer {index} lies outside the file")
    for graph in model.subgraphs:
        _check_subgraph(model, graph)
    _check_signatures(model)


def _check_subgraph(model: Any, graph: Any) -> None:
    tensors = graph.tensors or []
    for index, tensor in enumerate(tensors):
        _check_tensor(model, index, tensor)
    for what, indices in (("input", graph.inputs), ("output", graph.outputs)):
        if indices is None or len(indices) == 0:
            raise GraphError(f"its graph has no {what}")
        _check_indices(f"the graph's {what}s", indices, len(tensors), optional=False)
    for index, operator in enumerate(graph.operators or []):
        if operator.opcodeIndex >= len(model.operatorCodes):
            raise GraphError(
                f"its operator {index} names the operator code {operator.opcodeIndex}, which is not there"
            )
        name = f"operator {index} ({opcode_name(model.operatorCodes[operator.opcodeIndex])})"
        _check_indices(f"the inputs of {name}", operator.inputs, len(tensors), optional=True)
        _check_indices(f"the outputs of {name}", operator.outputs, len(tensors), optional=False)
        _check_indices(f"the intermediates of {name}", operator.intermediates, len(tensors), optional=True)


def _check_indices(what: str, indices: Any, count: int, *, optional: bool) -> None:
    for index in [] if indices is None else indices:
        if not (-1 if optional else 0) <= index < count:
            raise GraphError(f"{what} name the tensor {index} of {count}")


def _check_tensor(model: Any, index: int, tensor: Any) -> None:
    what = f"its tensor {index}"
    shape = [] if tensor.shape is None else [int(size) for size in tensor.shape]
    type_name = schema.enum_name("TensorType", tensor.type)
    if type_name.startswith("UNKNOWN"):
        raise GraphError(f"{what} has the unknown type {tensor.type}")
    if len(shape) > MOST_DIMENSIONS or min(shape, default=1) < 0:
        raise GraphError(f"{what} has the impossible shape {shape}")
    item_size = NUMPY_TYPES[type_name]().itemsize if type_name in NUMPY_TYPES else 1
    size = math.prod(shape) * item_size
    if size > LARGEST_TENSOR_BYTES:
        raise GraphError(f"{what} has the shape {shape}, more than {LARGEST_TENSOR_BYTES // 2**20} MB")
    signature = [] if tensor.shapeSignature is None else [int(length) for length in tensor.shapeSignature]
    if signature and (
        len(signature) != len(shape) or any(a not in (-1, b) for a, b in zip(signature, shape, strict=True))
    ):
        raise GraphError(f"{what} has the shape {shape} but the shape signature {signature}")
    if tensor.buffer >= len(model.buffers):
        raise GraphError(f"{what} names the buffer {tensor.buffer} of {len(model.buffers)}")
    data = model.buffers[tensor.buffer].data
    if data is not None and len(data) and type_name in NUMPY_TYPES and len(data) != size:
        raise GraphError(
            f"{what} of shape {shape} ({type_name.lower()}) needs {size} bytes and has {len(data)}"
        )
    if tensor.sparsity is not None or tensor.externalBuffer or tensor.variantTensors:
        raise GraphError(f"{what} is sparse, external or a variant, which is not supported")
    if tensor.quantization is not None:
        _check_quantization(what, shape, type_name, tensor.quantization)


def _check_quantization(what: str, shape: list[int], type_name: str, quantization: Any) -> None:
    scales = [] if quantization.scale is None else [float(scale) for scale in quantization.scale]
    zero_points = [] if quantization.zeroPoint is None else [int(zero) for zero in quantization.zeroPoint]
    if quantization.detailsType:
        raise GraphError(f"{what} has a custom quantization, which is not supported")
    if not scales and not zero_points:
        return
    if len(zero_points) not in (0, len(scales)):
        raise GraphError(f"{what} has {len(scales)} scales but {len(zero_points)} zero points")
    if not all(math.isfinite(scale) and scale >= 0 for scale in scales):
        raise GraphError(f"{what} has a scale that is negative or not a number")
    dimension = quantization.quantizedDimension
    if len(scales) > 1 and not (0 <= dimension < len(shape) and shape[dimension] == len(scales)):
        raise GraphError(f"{what} of shape {shape} has {len(scales)} scales along the dimension {dimension}")
    limits = {"INT8": (-128, 127), "UINT8": (0, 255), "INT16": (-32768, 32767)}.get(
        type_name, (-(2**31), 2**31 - 1)
    )
    if not all(limits[0] <= zero <= limits[1] for zero in zero_points):
        raise GraphError(f"{what} ({type_name.lower()}) has a zero point outside its type")


def _check_signatures(model: Any) -> None:
    for signature in model.signatureDefs or []:
        if signature.subgraphIndex >= len(model.subgraphs):
            raise GraphError(f"its signature names the graph {signature.subgraphIndex}, which is not there")
        count = len(model.subgraphs[signature.subgraphIndex].tensors or [])
        for tensor_map in [*(signature.inputs or []), *(signature.outputs or [])]:
            if tensor_map.tensorIndex >= count:
                raise GraphError(f"its signature names the tensor {tensor_map.tensorIndex} of {count}")
