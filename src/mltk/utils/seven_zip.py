"""7z archives by way of py7zr, with the names, sizes and files in our own hands (`safe_extract.MemberWriter`)."""

import contextlib
import lzma
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from mltk.utils.errors import ArchiveError, MissingExtraError

if TYPE_CHECKING:
    from mltk.utils.safe_extract import MemberWriter

# A Unix mode in the upper half of a member's attributes, if this bit is set.
_UNIX_EXTENSION = 0x8000
_REPARSE_POINT = 0x400
_PLAIN_MODES = (0, 0o100000, 0o040000)
# py7zr checks much of a header, and trips over the rest.
_DAMAGE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
    lzma.LZMAError,
    struct.error,
    zlib.error,
)


def unpack_seven_zip(archive: Path, writer: "MemberWriter") -> None:
    """Unpack a 7z archive.

    Raises:
        MissingExtraError: py7zr is not installed.
        ArchiveError: the archive is damaged, encrypted, too large or hostile.
        OSError: a file can not be written.

    """
    try:
        import py7zr
        from py7zr.exceptions import AbsolutePathError, PasswordRequired
        from py7zr.exceptions import ArchiveError as SevenZipError
    except ImportError as error:
        raise MissingExtraError("seeds", f"Unpacking the 7z archive {archive}") from error
    damage = (SevenZipError, AbsolutePathError, *_DAMAGE)
    # An opened file, not its path: py7zr would start a thread for each of the archive's blocks.
    with archive.open("rb") as file, contextlib.ExitStack() as outputs:
        try:
            with py7zr.SevenZipFile(file, max_extract_size=writer.limit) as opened:
                _check_members(opened, writer)
                opened.extractall(factory=_factory(writer, outputs))
        except PasswordRequired as error:
            raise ArchiveError(f"The archive {archive} is encrypted: unpack it by hand") from error
        except damage as error:
            raise ArchiveError(
                f"The archive {archive} is damaged: {str(error) or type(error).__name__}"
            ) from error


def _check_members(opened: Any, writer: "MemberWriter") -> None:
    """Refuse links and what is too large before anything is written; make the folders."""
    total = 0
    for member in opened.files:
        attributes = int(member.file_properties().get("attributes") or 0)
        mode = (attributes >> 16) & 0o170000 if attributes & _UNIX_EXTENSION else 0
        if mode not in _PLAIN_MODES or attributes & _REPARSE_POINT:
            raise writer.hostile(member.filename, "it is a link or a device")
        writer.check_name(member.filename)
        if member.is_directory:
            writer.folder(member.filename)
        else:
            total += int(member.uncompressed or 0)
            writer.check_size(total)


def _factory(writer: "MemberWriter", outputs: contextlib.ExitStack) -> Any:
    """Return what py7zr asks for a file to write each member to."""
    from py7zr.io import Py7zIO, WriterFactory

    class Member(Py7zIO):  # type: ignore[misc]
        def __init__(self, output: BinaryIO) -> None:
            self._output = outputs.enter_context(output)

        def write(self, s: bytes | bytearray) -> int:
            writer.write(self._output, bytes(s))
            return len(s)

        def read(self, size: int | None = None) -> bytes:
            del size
            return b""

        def seek(self, offset: int, whence: int = 0) -> int:
            del whence
            return offset

        def flush(self) -> None:
            self._output.flush()

        def size(self) -> int:
            return self._output.tell()

        def close(self) -> None:
            self._output.close()

    class Members(WriterFactory):  # type: ignore[misc]
        def create(self, filename: str) -> Member:
            return Member(writer.open(filename))

    return Members()
