"""Ways to damage a .tflite: its bytes, or what it says."""

import pickle
import random
import struct
from collections.abc import Callable, Mapping
from typing import Any

import ai_edge_litert.schema_py_generated as schema
import flatbuffers
import numpy as np

INT32S = (
    0,
    1,
    2,
    3,
    4,
    7,
    8,
    127,
    128,
    255,
    256,
    1000,
    32767,
    32768,
    65535,
    65536,
    2**20,
    2**24,
    2**28,
    2**30,
)
INT32S += tuple(2**31 - 1 - n for n in (0, 1, 3)) + tuple(
    -n for n in (1, 2, 3, 128, 32768, 65536, 2**30, 2**31)
)
FLOATS = (0.0, -0.0, 1.0, -1.0, 1e-45, 1e-38, 1e-20, 1e-6, 0.5, 2.0**-8, 3.0, 256.0, 1e6, 1e20, 3e38)
FLOATS += (float("inf"), float("-inf"), float("nan"))
CODES = (
    0,
    1,
    2,
    3,
    4,
    6,
    9,
    14,
    17,
    18,
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
    45,
    49,
    60,
    70,
    76,
    83,
    99,
    102,
    114,
)
TEXTS = (
    b"*/ int x; /*",
    b"\\\n\\",
    b"??/",
    b"\xff\xfe",
    b"a\0b",
    b"/*",
    "\u202e\u2028".encode(),
    b"x" * 5000,
)
Rng = random.Random
_parsed: dict[str, bytes] = {}


def mutate(seeds: Mapping[str, bytes], seed: int, number: int) -> tuple[bytes, str]:
    """Return a damaged model, always the same for the same numbers, and the kind of damage."""
    rng = Rng(f"{seed}:{number}")
    # The tables of functions take a while to compute: fewer of these.
    name = rng.choices(list(seeds), [1 if name == "functions" else 3 for name in seeds])[0]
    data = seeds[name]
    if rng.random() < 0.4:
        how = rng.choice(list(_BYTES))
        for _ in range(rng.choice((1, 1, 1, 2, 4, 8))):
            data = _BYTES[how](data, rng)
        return data, how
    if name not in _parsed:
        _parsed[name] = pickle.dumps(schema.ModelT.InitFromPackedBuf(data, 0))
    model = pickle.loads(_parsed[name])  # faster than to parse it again
    how = rng.choice(list(_GRAPH))
    try:
        for _ in range(rng.choice((1, 1, 2, 3))):
            _GRAPH[how](model, rng)
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output()), how
    except (struct.error, TypeError, ValueError, AttributeError, IndexError):
        # What the format can not hold, or what is broken so that it can not be broken further: another kind of damage.
        return _flip(data, rng), "bits"


# --- Bytes -----------------------------------------------------------------------------------------------------------


def _flip(data: bytes, rng: Rng) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _set_word(data: bytes, rng: Rng) -> bytes:
    """Change a 16, 32 or 64 bit number at its alignment: an offset, a size, a count."""
    code = rng.choice("hiiiq")
    size = struct.calcsize(code)
    place = rng.randrange(max(1, len(data) // size)) * size
    if place + size > len(data):
        return _flip(data, rng)
    changed = bytearray(data)
    old = struct.unpack_from("<" + code, data, place)[0]
    new = rng.choice(
        (rng.choice(INT32S), old + rng.choice((-8, -4, -1, 1, 4, 8)), len(data), rng.randrange(len(data)))
    )
    limit = 1 << (8 * size)
    changed[place : place + size] = (new % limit).to_bytes(size, "little")
    return bytes(changed)


def _truncate(data: bytes, rng: Rng) -> bytes:
    return data[: rng.randrange(len(data))] or b"\0"


def _move(data: bytes, rng: Rng) -> bytes:
    """Cut a piece out, put one in twice, or write one over another."""
    start, size, target = rng.randrange(len(data)), rng.randrange(1, 65), rng.randrange(len(data))
    piece = data[start : start + size]
    kind = rng.randrange(3)
    if kind == 0:
        return (data[:start] + data[start + size :]) or b"\0"
    return data[:target] + piece + data[target + (len(piece) if kind == 1 else 0) :]


_BYTES: dict[str, Callable[[bytes, Rng], bytes]] = {
    "bits": _flip,
    "words": _set_word,
    "truncated": _truncate,
    "moved": _move,
}

# --- What it says ----------------------------------------------------------------------------------------------------


def _integer(rng: Rng, old: int) -> int:
    return rng.choice((rng.choice(INT32S), max(-(2**31), min(2**31 - 1, old + rng.choice((-2, -1, 1, 2))))))


def _tensor(model: Any, rng: Rng) -> Any:
    return rng.choice(model.subgraphs[0].tensors)


def _list(values: Any) -> list[Any]:
    return [] if values is None else list(values)


def _edit(values: Any, rng: Rng) -> list[int]:
    """Change, drop, add or swap an item of a list of numbers."""
    items = [int(value) for value in _list(values)]
    kind = rng.randrange(5)
    if kind == 0 or not items:
        items.insert(rng.randrange(len(items) + 1), rng.choice(INT32S))
    elif kind == 1:
        del items[rng.randrange(len(items))]
    elif kind == 2:
        a, b = rng.randrange(len(items)), rng.randrange(len(items))
        items[a], items[b] = items[b], items[a]
    else:
        place = rng.randrange(len(items))
        items[place] = _integer(rng, items[place])
    return items


def _shape(model: Any, rng: Rng) -> None:
    tensor = _tensor(model, rng)
    if rng.random() < 0.2:
        tensor.shapeSignature = _edit(
            tensor.shapeSignature if tensor.shapeSignature is not None else tensor.shape, rng
        )
    else:
        tensor.shape = _edit(tensor.shape, rng)


def _all_shapes(model: Any, rng: Rng) -> None:
    """Change a size wherever it occurs, so that the tensors still fit each other."""
    sizes = sorted({int(size) for tensor in model.subgraphs[0].tensors for size in _list(tensor.shape)})
    old, new = (
        rng.choice(sizes),
        rng.choice((1, 2, 3, 5, 9, 17, 100, 255, 256, 4096, 65535, 65536, 2**20, 2**31 - 1)),
    )
    for tensor in model.subgraphs[0].tensors:
        if model.buffers[tensor.buffer].data is None:
            tensor.shape = [new if size == old else int(size) for size in _list(tensor.shape)]
            tensor.shapeSignature = None


def _indices(model: Any, rng: Rng) -> None:
    graph = model.subgraphs[0]
    operator = rng.choice(graph.operators)
    kind = rng.randrange(8)
    n_tensors = len(graph.tensors)
    if kind < 5:
        name = "inputs" if kind < 3 else "outputs"
        items = [int(item) for item in _list(getattr(operator, name))]
        if items and rng.random() < 0.6:
            items[rng.randrange(len(items))] = rng.choice(
                (-1, rng.randrange(n_tensors), rng.randrange(n_tensors), n_tensors)
            )
        else:
            items = _edit(items, rng)
        setattr(operator, name, items)
    elif kind == 5:
        graph.inputs = [rng.randrange(n_tensors) for _ in range(rng.randrange(1, 4))]
    elif kind == 6:
        graph.outputs = [rng.randrange(n_tensors) for _ in range(rng.randrange(1, 4))]
    else:
        _tensor(model, rng).buffer = rng.choice((0, rng.randrange(len(model.buffers)), 2**31))


def _options(model: Any, rng: Rng) -> None:
    operator = rng.choice(model.subgraphs[0].operators)
    options = operator.builtinOptions
    if options is None or not vars(options) or rng.random() < 0.1:
        operator.builtinOptionsType = rng.randrange(127)
        return
    name = rng.choice(list(vars(options)))
    old = getattr(options, name)
    if isinstance(old, bool):
        setattr(options, name, not old)
    elif isinstance(old, float):
        setattr(options, name, rng.choice(FLOATS))
    elif isinstance(old, int):
        setattr(options, name, rng.choice((0, 1, 2, 3, 4, 5, 6, 255, _integer(rng, old))))
    else:
        setattr(options, name, _edit(old, rng))


def _quantization(model: Any, rng: Rng) -> None:
    tensor = _tensor(model, rng)
    if tensor.quantization is None:
        tensor.quantization = schema.QuantizationParametersT(scale=[1.0], zeroPoint=[0])
    quantization = tensor.quantization
    kind = rng.randrange(7)
    scales = [float(scale) for scale in _list(quantization.scale)]
    if kind == 0:
        tensor.quantization = None
    elif kind == 1 and scales:
        scales[rng.randrange(len(scales))] = rng.choice(FLOATS)
    elif kind == 2 and scales:
        # Many powers of two: shifts of every length.
        quantization.scale = [scale * 2.0 ** rng.uniform(-40, 40) for scale in scales]
        quantization.scale = [min(scale, 3e38) for scale in quantization.scale]
        return
    elif kind == 3:
        scales = scales[:-1] if rng.random() < 0.5 else scales * rng.choice((2, 3, 1000))
    elif kind == 4:
        quantization.quantizedDimension = rng.choice(INT32S)
    elif kind == 5:
        quantization.zeroPoint = [rng.choice((*INT32S, -128, 127, 2**63 - 1, -(2**63)))] * max(1, len(scales))
    else:
        quantization.zeroPoint = _edit(quantization.zeroPoint, rng)
    quantization.scale = scales


def _types(model: Any, rng: Rng) -> None:
    tensor = _tensor(model, rng)
    if rng.random() < 0.8:
        tensor.type = rng.choice((0, 2, 3, 4, 7, 9, 9, rng.randrange(20)))
    else:
        tensor.isVariable = not tensor.isVariable


def _operators(model: Any, rng: Rng) -> None:
    """Another operator, another order, one more, one less."""
    operators, kind = model.subgraphs[0].operators, rng.randrange(6)
    if kind < 2:
        code = rng.choice(model.operatorCodes)
        code.builtinCode = rng.choice(CODES)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.version = rng.choice((1, 2, 3, 9))
    elif kind == 2:
        rng.choice(operators).opcodeIndex = rng.randrange(len(model.operatorCodes) + 1)
    elif kind == 3:
        rng.shuffle(operators)
    elif kind == 4 and len(operators) > 1:
        del operators[rng.randrange(len(operators))]
    else:
        operators.insert(rng.randrange(len(operators) + 1), rng.choice(operators))


def _constants(model: Any, rng: Rng) -> None:
    """Other values of a constant: lists of dimensions, paddings, bounds, biases, weights; more or fewer bytes."""
    filled = [buffer for buffer in model.buffers if buffer.data is not None and len(buffer.data)]
    buffer = rng.choice(filled)
    data = bytearray(bytes(np.asarray(buffer.data, np.uint8)))
    kind = rng.randrange(5)
    if kind == 0:
        data = data[: rng.randrange(len(data))]
    elif kind == 1:
        data += bytes(rng.randrange(1, 9))
    elif kind == 2:
        data = bytearray(rng.choice((0x00, 0x7F, 0x80, 0xFF)).to_bytes(1, "little") * len(data))
    elif len(data) >= 4:
        place = rng.randrange(len(data) // 4) * 4
        old = int.from_bytes(data[place : place + 4], "little", signed=True)
        data[place : place + 4] = _integer(rng, old).to_bytes(4, "little", signed=True)
    buffer.data = np.frombuffer(bytes(data), np.uint8)


def _texts(model: Any, rng: Rng) -> None:
    text = rng.choice(TEXTS)
    kind = rng.randrange(4)
    if kind == 0:
        model.description = text
    elif kind == 1:
        _tensor(model, rng).name = text
    elif kind == 2:
        model.subgraphs[0].name = text
    else:
        code = rng.choice(model.operatorCodes)
        code.customCode, code.builtinCode = text, rng.choice((32, 32, code.builtinCode))


def _mixed(model: Any, rng: Rng) -> None:
    for _ in range(rng.randrange(2, 6)):
        rng.choice([change for name, change in _GRAPH.items() if name != "mixed"])(model, rng)


_GRAPH: dict[str, Callable[[Any, Rng], None]] = {
    "shape": _shape,
    "all shapes": _all_shapes,
    "indices": _indices,
    "options": _options,
    "quantization": _quantization,
    "types": _types,
    "operators": _operators,
    "constants": _constants,
    "texts": _texts,
    "mixed": _mixed,
}
