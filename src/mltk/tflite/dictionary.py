"""The binary form of model parameters: the flatbuffer that `SL_PARAMSv1` holds.

Reference: `formats.md` of the reference material ("Parameters inside a .tflite"). A root table `Dictionary`
(schema_version: u8, entries: [Entry]); an `Entry` is (key: string, value_type: u8, value: union); every
member of the union is a table with one field.
"""

import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from mltk.tflite.flatbuffer import DamagedBufferError, FlatReader
from mltk.utils.errors import TfliteError

SCHEMA_VERSION = 1
STRING, STRING_LIST, INT32_LIST, FLOAT32_LIST, BINARY = 12, 13, 14, 15, 16
FLOAT32, FLOAT64 = 10, 11
# Union id -> struct code of the scalar members.
SCALAR_CODES = {
    1: "?",
    2: "b",
    3: "B",
    4: "h",
    5: "H",
    6: "i",
    7: "I",
    8: "q",
    9: "Q",
    FLOAT32: "f",
    FLOAT64: "d",
}
_UNSIGNED = ((3, 2**8), (5, 2**16), (7, 2**32), (9, 2**64))
_SIGNED = ((2, -(2**7)), (4, -(2**15)), (6, -(2**31)), (8, -(2**63)))
# The page's limits for a float32; the very largest one is a little above.
_SMALLEST_FLOAT32, _LARGEST_FLOAT32 = 1.175494351e-38, 3.402823466e38
_MOST_FLOAT32 = float.fromhex("0x1.fffffep+127")


def plain_value(key: str, value: Any) -> Any:
    """Return a parameter as a plain Python value: bool, int, float, str, bytes or a list; numpy's are
    converted.

    Raises:
        TfliteError: the value can not be stored; the sentence names the key.

    """
    if hasattr(value, "tolist"):  # numpy scalars and arrays, without importing numpy
        value = value.tolist()
    if isinstance(value, tuple):
        value = list(value)
    if isinstance(value, bytearray | memoryview):
        value = bytes(value)
    if isinstance(value, list):
        value = [item.item() if hasattr(item, "item") else item for item in value]
    value_type(key, value)
    return value


def value_type(key: str, value: Any) -> int:
    """Return the union id under which a plain Python value is stored.

    The smallest integer type that holds an int; float32 for floats in its normal positive range, else
    float64; an empty list is a list of strings.

    Raises:
        TfliteError: no type of the format holds the value.

    """
    if isinstance(value, bool):
        return 1
    if isinstance(value, int):
        found = [code for code, limit in _UNSIGNED if value < limit] if value >= 0 else []
        found = found or [code for code, limit in _SIGNED if limit <= value < 0]
        if not found:
            raise TfliteError(f"Parameter {key}: {value} does not fit into 64 bits: give a smaller number")
        return found[0]
    if isinstance(value, float):
        return FLOAT32 if _SMALLEST_FLOAT32 <= value <= _LARGEST_FLOAT32 else FLOAT64
    if isinstance(value, str):
        return STRING
    if isinstance(value, bytes):
        return BINARY
    if isinstance(value, list):
        return _list_type(key, value)
    raise TfliteError(
        f"Parameter {key} is a {type(value).__name__}, which a .tflite can not store: "
        "give a bool, int, float, str, bytes or a list of numbers or strings"
    )


def _list_type(key: str, items: Sequence[Any]) -> int:
    if all(isinstance(item, str) for item in items):
        return STRING_LIST
    if any(isinstance(item, bool) or not isinstance(item, int | float) for item in items):
        raise TfliteError(
            f"Parameter {key} is a list of mixed things: give only strings, only ints or only floats"
        )
    if all(isinstance(item, int) for item in items):
        if not all(-(2**31) <= item < 2**31 for item in items):
            raise TfliteError(f"Parameter {key} has a number in its list that does not fit into 32 bits")
        return INT32_LIST
    if any(_MOST_FLOAT32 < abs(item) < math.inf for item in items):
        raise TfliteError(f"Parameter {key} has a number in its list that does not fit into a 32-bit float")
    return FLOAT32_LIST


def encode(parameters: Mapping[str, Any]) -> bytes:
    """Return the flatbuffer of plain parameters, byte for byte as the reference toolkit packs it.

    Raises:
        TfliteError: a value can not be stored.

    """
    import flatbuffers

    builder = flatbuffers.Builder(1024)
    entries = [_encode_entry(builder, key, plain_value(key, value)) for key, value in parameters.items()]
    builder.StartVector(4, len(entries), 4)
    for entry in reversed(entries):
        builder.PrependUOffsetTRelative(entry)
    vector = builder.EndVector()
    builder.StartObject(2)
    builder.PrependUint8Slot(0, SCHEMA_VERSION, 0)
    builder.PrependUOffsetTRelativeSlot(1, vector, 0)
    builder.Finish(builder.EndObject())
    return bytes(builder.Output())


def _encode_entry(builder: Any, key: str, value: Any) -> int:
    kind = value_type(key, value)
    name = builder.CreateString(key)
    offset = _encode_value(builder, kind, value)
    builder.StartObject(3)
    # In this order the fields lie where the reference has them.
    builder.PrependUOffsetTRelativeSlot(0, name, 0)
    builder.PrependUOffsetTRelativeSlot(2, offset, 0)
    builder.PrependUint8Slot(1, kind, 0)
    return int(builder.EndObject())


def _encode_value(builder: Any, kind: int, value: Any) -> int:
    if kind not in SCALAR_CODES:
        content = _encode_content(builder, kind, value)
        builder.StartObject(1)
        builder.PrependUOffsetTRelativeSlot(0, content, 0)
        return int(builder.EndObject())
    builder.StartObject(1)
    if kind == 1:
        builder.PrependBoolSlot(0, value, False)
    elif kind in (FLOAT32, FLOAT64):
        (builder.PrependFloat32Slot if kind == FLOAT32 else builder.PrependFloat64Slot)(0, value, 0.0)
    else:
        name = {
            "b": "Int8",
            "B": "Uint8",
            "h": "Int16",
            "H": "Uint16",
            "i": "Int32",
            "I": "Uint32",
            "q": "Int64",
        }
        getattr(builder, f"Prepend{name.get(SCALAR_CODES[kind], 'Uint64')}Slot")(0, value, 0)
    return int(builder.EndObject())


def _encode_content(builder: Any, kind: int, value: Any) -> int:
    if kind == STRING:
        return int(builder.CreateString(value))
    if kind == STRING_LIST:
        offsets = [builder.CreateString(item) for item in value]
        builder.StartVector(4, len(value), 4)
        for offset in reversed(offsets):
            builder.PrependUOffsetTRelative(offset)
    elif kind == BINARY:
        builder.StartVector(1, len(value), 1)
        for byte in reversed(value):
            builder.PrependByte(byte)
    else:
        builder.StartVector(4, len(value), 4)
        for item in reversed(value):
            (builder.PrependInt32 if kind == INT32_LIST else builder.PrependFloat32)(item)
    return int(builder.EndVector())


def decode(data: bytes) -> dict[str, Any]:
    """Return the parameters of a flatbuffer, in their stored order.

    Raises:
        TfliteError: the bytes are damaged, or of a version or type that is not known.

    """
    reader = FlatReader(data)
    try:
        root = reader.table(reader.target(0))
        version = reader.check_field(root, 0, 1)
        number = reader.unsigned(version, "B") if version else 0
        if number != SCHEMA_VERSION:
            raise TfliteError(f"The model's parameters have the unknown version {number}: update mltk")
        position = reader.check_field(root, 1, 4)
        if not position:
            return {}
        start, count = reader.vector(reader.target(position), 4)
        return dict(_decode_entry(reader, reader.target(start + 4 * index)) for index in range(count))
    except (DamagedBufferError, UnicodeDecodeError) as error:
        raise TfliteError(f"The model's parameters are damaged ({error}): get the model again") from error


def _decode_entry(reader: FlatReader, position: int) -> tuple[str, Any]:
    table = reader.table(position)
    key, kind, value = (reader.check_field(table, slot, size) for slot, size in ((0, 4), (1, 1), (2, 4)))
    if not (key and kind and value):
        raise DamagedBufferError(f"the entry at {position} has no key or no value")
    name = reader.string(reader.target(key)).decode("utf-8")
    return name, _decode_value(reader, reader.unsigned(kind, "B"), reader.target(value))


def _decode_value(reader: FlatReader, kind: int, position: int) -> Any:
    table = reader.table(position)
    if kind in SCALAR_CODES:
        code = SCALAR_CODES[kind]
        field = reader.check_field(table, 0, struct.calcsize("<" + code))
        value = reader.scalar(field, code) if field else 0
        return bool(value) if kind == 1 else float(value) if kind in (FLOAT32, FLOAT64) else value
    if not STRING <= kind <= BINARY:
        raise DamagedBufferError(f"the value at {position} is of the unknown type {kind}")
    field = reader.check_field(table, 0, 4)
    if not field:
        return {STRING: "", BINARY: b""}.get(kind, [])
    target = reader.target(field)
    if kind == STRING:
        return reader.string(target).decode("utf-8")
    if kind == BINARY:
        return reader.string(target)
    start, count = reader.vector(target, 4)
    if kind == STRING_LIST:
        return [reader.string(reader.target(start + 4 * index)).decode("utf-8") for index in range(count)]
    return list(struct.unpack_from(f"<{count}{'i' if kind == INT32_LIST else 'f'}", reader.data, start))
