"""A .tflite as a C array, for programs that bring an interpreter: what `xxd -i` gave, const, aligned, with its length."""

from pathlib import Path

import mltk
from mltk.firmware.c_source import identifier
from mltk.firmware.data_array import ALIGNMENT, ArraySource, array_source
from mltk.tflite.model import TfliteModel


def model_array(model: TfliteModel, name: str | None = None) -> ArraySource:
    """Return a model's file as an array `const unsigned char NAME[]` and `const int NAME_len`.

    Args:
        model: the .tflite.
        name: the array's name, 'g_' is put before it; the model's own name and '_model_data' without one.

    Raises:
        DeviceError: it is no name in C.

    """
    if name is None:
        own = str(model.parameters.get("name") or Path(model.path or "model").stem)
        name = f"{identifier(own.lower())}_model_data"
    array = name if name.startswith("g_") else f"g_{name}"
    data = model.flatbuffer_data
    return array_source(
        array,
        "unsigned char",
        [f"0x{byte:02x}" for byte in data],
        {f"{array}_len": len(data)},
        f"{model.parameters.get('name') or 'A model'} as a .tflite of {len(data)} bytes, made by mltk {mltk.__version__}.",
        ALIGNMENT,
    )


def write_model_array(
    model: TfliteModel, directory: str | Path, name: str | None = None
) -> tuple[Path, Path]:
    """Write DIRECTORY/NAME.cc and NAME.h; return their paths. The files' names have no 'g_'.

    Raises:
        DeviceError: the name is no name in C.
        MltkError: the folder can not be written.

    """
    source = model_array(model, name)
    return source.write(Path(directory) / f"{source.name.removeprefix('g_')}.cc")
