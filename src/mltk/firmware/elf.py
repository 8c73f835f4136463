"""The linker's result: how much of a board's memories a program takes."""

import io
from importlib.util import find_spec
from typing import Any

from mltk.utils.errors import DeviceError, MissingExtraError


def section_sizes(elf: bytes) -> dict[str, int]:
    """Return the sections of an ELF -> their sizes in bytes.

    Raises:
        DeviceError: the ELF is damaged.
        MissingExtraError: pyelftools is not installed.

    """
    if find_spec("elftools") is None:
        raise MissingExtraError("device", "Looking into firmware")
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    try:
        image: Any = ELFFile(io.BytesIO(elf))
        return {section.name: section["sh_size"] for section in image.iter_sections()}
    except ELFError as error:
        raise DeviceError(f"The firmware is no usable ELF file: {error}") from error


def flash_bytes(sizes: dict[str, int]) -> int:
    """Return what is in flash: code, constants, and the first values of variables."""
    return sum(sizes.get(name, 0) for name in (".text", ".ARM.exidx", ".data"))


def static_bytes(sizes: dict[str, int]) -> int:
    """Return what is in RAM from start to end, the stack apart."""
    return sum(sizes.get(name, 0) for name in (".data", ".bss"))
