"""Access to the .tflite schema's object API, for bytes that were verified first."""

import functools
from typing import Any

from mltk.tflite.flatbuffer import DamagedBufferError
from mltk.tflite.verify import FILE_IDENTIFIER, verify_layout
from mltk.utils.errors import TfliteError

LARGEST_FILE = 256 * 2**20


def _schema() -> Any:
    # 20,000 generated lines: loaded when a model is read, not before.
    from ai_edge_litert import schema_py_generated

    return schema_py_generated


def parse(data: bytes, source: str = "The model") -> Any:
    """Verify a .tflite file and return it as the schema's `ModelT`.

    Args:
        data: the file's bytes.
        source: what the error's sentence calls it, such as its path.

    Raises:
        TfliteError: it is not a .tflite file, or damaged.

    """
    if len(data) > LARGEST_FILE:
        raise TfliteError(
            f"{source} has {len(data) // 2**20} MB: models above {LARGEST_FILE // 2**20} MB are not read"
        )
    try:
        verify_layout(data)
    except DamagedBufferError as error:
        raise TfliteError(f"{source} is not a whole .tflite file ({error}): get it again") from error
    return _schema().ModelT.InitFromPackedBuf(data, 0)


def pack(model: Any) -> bytes:
    """Return the bytes of a `ModelT`."""
    import flatbuffers

    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), FILE_IDENTIFIER)
    return bytes(builder.Output())


def new(name: str) -> Any:
    """Return an empty object of the schema, such as a "Metadata"."""
    return getattr(_schema(), name + "T")()


@functools.cache
def _names(enum: str) -> dict[int, str]:
    # "ADD" and the like are ints; a later alias of the same number would hide the first.
    values = vars(getattr(_schema(), enum))
    return {value: name for name, value in reversed(values.items()) if isinstance(value, int)}


def enum_name(enum: str, value: int) -> str:
    """Return the schema's name of an enum's value (BuiltinOperator 3: "CONV_2D"), else "UNKNOWN_n"."""
    return _names(enum).get(int(value), f"UNKNOWN_{int(value)}")


def text(value: bytes | str | None) -> str:
    """Return a string of the object API (bytes, str or None) as str."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value or ""
