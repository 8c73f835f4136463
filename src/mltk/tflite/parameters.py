"""The settings that a trained model carries: the metadata entry `SL_PARAMSv1` of a .tflite file.

Everything that a device or `mltk classify_audio` needs beside the graph is in there: name, classes, frontend
settings, detection settings. Format: `formats.md` of the reference material, byte-compatible with the
reference toolkit.
"""

import datetime
import hashlib
import os
from pathlib import Path
from typing import Any, Self

from mltk.tflite import schema
from mltk.tflite.dictionary import decode, encode, plain_value
from mltk.utils.errors import TfliteError
from mltk.utils.files import read_bytes, write_bytes

METADATA_NAME = "SL_PARAMSv1"


def utc_now() -> str:
    """Return this moment as ISO 8601 in UTC with milliseconds and Z."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


class TfliteModelParameters(dict[str, Any]):
    """A dict of bool, int, float, str, bytes or list values, in the order in which they are stored.

    `hash` (MD5 of the whole file while hash and date are empty) and `date` are set when the parameters are
    added to a file.
    """

    @classmethod
    def load_from_tflite_file(cls, path: str | os.PathLike[str]) -> Self:
        """Read the parameters of a .tflite file.

        Raises:
            MltkError: there is no such file.
            TfliteError: it is damaged, or carries no parameters.

        """
        return cls.load_from_tflite_flatbuffer(read_bytes(path, ".tflite model"), str(path))

    @classmethod
    def load_from_tflite_flatbuffer(cls, data: bytes, source: str = "The model") -> Self:
        """Read the parameters out of a .tflite file's bytes; `source` is what errors call it.

        Raises:
            TfliteError: it is damaged, or carries no parameters.

        """
        found = cls.find_in_model(schema.parse(data, source))
        if found is None:
            raise TfliteError(
                f"{source} carries no parameters ({METADATA_NAME}): it was not made by mltk; "
                "add what is needed with `mltk update_params`"
            )
        return found

    @classmethod
    def find_in_model(cls, model: Any) -> Self | None:
        """Return the parameters of a parsed model (`schema.parse`), or None where it has none.

        Raises:
            TfliteError: they are damaged.

        """
        buffer = _find_buffer(model)
        if buffer is None:
            return None
        return cls.deserialize(bytes(buffer.data) if buffer.data is not None else b"")

    @classmethod
    def deserialize(cls, data: bytes) -> Self:
        """Return the parameters of a `Dictionary` flatbuffer.

        Raises:
            TfliteError: it is damaged.

        """
        return cls(decode(data))

    def serialize(self) -> bytes:
        """Return the `Dictionary` flatbuffer of these parameters.

        Raises:
            TfliteError: a value's type can not be stored.

        """
        return encode(self)

    def put(self, key: str, value: Any) -> None:
        """Set a parameter after checking that it can be stored; numpy values become Python's.

        Raises:
            TfliteError: it can not.

        """
        self[key] = plain_value(key, value)

    def add_to_tflite_flatbuffer(
        self, data: bytes, date: str | None = None, description: str | None = None
    ) -> bytes:
        """Return a .tflite file with these parameters instead of those it has; `hash` and `date` are renewed
        here too.

        Args:
            data: the .tflite file's bytes.
            date: ISO 8601; now where it is None.
            description: replaces the flatbuffer's own description where it is not None.

        Raises:
            TfliteError: the file is damaged, or a value can not be stored.

        """
        model = schema.parse(data)
        if description is not None:
            model.description = description
        buffer = _find_buffer(model)
        if buffer is None:
            buffer = schema.new("Buffer")
            metadata = schema.new("Metadata")
            metadata.name, metadata.buffer = METADATA_NAME, len(model.buffers or [])
            model.buffers = [*(model.buffers or []), buffer]
            model.metadata = [*(model.metadata or []), metadata]
        stored = type(self)(self)
        stored.update(hash="", date="")
        buffer.data = _as_vector(stored.serialize())
        stored.update(
            hash=hashlib.md5(schema.pack(model), usedforsecurity=False).hexdigest(), date=date or utc_now()
        )
        buffer.data = _as_vector(stored.serialize())
        packed = schema.pack(model)
        self.update(hash=stored["hash"], date=stored["date"])
        return packed

    def add_to_tflite_file(
        self, path: str | os.PathLike[str], output: str | os.PathLike[str] | None = None
    ) -> Path:
        """Write these parameters into a .tflite file, whole or not at all.

        Args:
            path: the file.
            output: write to this file and leave `path` as it is.

        Returns:
            The path of the file that was written.

        Raises:
            MltkError: a file can not be read or written.
            TfliteError: the file is damaged, or a value can not be stored.

        """
        return write_bytes(output or path, self.add_to_tflite_flatbuffer(read_bytes(path, ".tflite model")))


def _find_buffer(model: Any) -> Any | None:
    """Return the `BufferT` that holds the parameters of a `ModelT`."""
    for metadata in model.metadata or []:
        if schema.text(metadata.name) == METADATA_NAME:
            buffers = model.buffers or []
            if metadata.buffer >= len(buffers):
                raise TfliteError(
                    f"The model's entry {METADATA_NAME} names the buffer {metadata.buffer} of {len(buffers)}"
                )
            return buffers[metadata.buffer]
    return None


def _as_vector(data: bytes) -> Any:
    import numpy as np

    return np.frombuffer(
        data, dtype=np.uint8
    )  # the object API copies arrays; of bytes it would write one at a time
