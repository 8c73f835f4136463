"""Unpack archives from strangers: nothing outside the destination, no links, no bombs, whole or not.

7z needs py7zr (LGPL, not loaded otherwise), which the extra 'seeds' brings.
"""

import bz2
import contextlib
import errno
import gzip
import io
import lzma
import os
import shutil
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Any, BinaryIO, Protocol

from mltk.utils.errors import ArchiveError, MltkError
from mltk.utils.files import make_folder

# Recordings shrink to a half or a third, so these limits are far from any honest archive of them.
_LARGEST_EXPANSION = 100
_ALWAYS_ALLOWED_BYTES = 256 * 1024 * 1024
_MOST_MEMBERS = 2_000_000

_COPY_BYTES = 1024 * 1024
_LARGEST_READ = 16 * 1024 * 1024
_DECOMPRESSORS = ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ\x00", lzma.open))
_SEVEN_ZIP = b"7z\xbc\xaf\x27\x1c"
_DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    gzip.BadGzipFile,
    struct.error,
    EOFError,
    ValueError,  # names that are no text, negative sizes
    OverflowError,
    RuntimeError,  # zipfile: a password is needed; NotImplementedError: an unknown compression
)


def extract_archive(
    archive_path: str | os.PathLike[str],
    dest_dir: str | os.PathLike[str],
    *,
    remove_root_dir: bool = False,
    clean_dest_dir: bool = False,
    max_bytes: int | None = None,
    last_files: Mapping[str, str] | None = None,
) -> Path:
    """Unpack a zip, tar (gz, bz2, xz) or 7z archive.

    It is unpacked beside the destination and moved there when all of it is there and good. Links, devices and
    names that lead out of the destination are refused. Only one process may do this for a destination at a
    time: `lock.file_lock(dest_dir)`.

    Args:
        archive_path: the archive; its content tells its kind, not its name.
        dest_dir: the folder to unpack into. Files of the same name are replaced, others stay.
        remove_root_dir: where all is in one folder, unpack that folder's content.
        clean_dest_dir: remove what the destination holds before.
        max_bytes: refuse to unpack more; 100 times the archive's size, but at least 256 MB, if None.
        last_files: name -> text of files to add after all others, such as a mark that the folder is whole.

    Returns:
        The destination.

    Raises:
        MissingExtraError: it is a 7z archive, and the extra 'seeds' is not installed.
        ArchiveError: the archive is missing, damaged, of another kind, too large, or hostile.
        MltkError: the destination can not be written.

    """
    archive, destination = Path(archive_path), Path(dest_dir)
    if not archive.is_file():
        raise ArchiveError(f"There is no archive at {archive}: check the path")
    if clean_dest_dir:
        _refuse_to_empty(destination)
    staging = make_folder(destination.parent) / f".{destination.name}.extracting"
    try:
        _remove(staging)  # of a process that was killed
        staging.mkdir()
        limit = max_bytes or max(_ALWAYS_ALLOWED_BYTES, _LARGEST_EXPANSION * archive.stat().st_size)
        _unpack(archive, staging, limit)
        root = _single_folder(staging) if remove_root_dir else staging
        _move_into_place(root, destination, clean_dest_dir, last_files or {})
    except OSError as error:
        what = getattr(error, "filename", None) or destination
        raise MltkError(f"Can not unpack {archive} to {what}: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            _remove(staging)
    return destination


def _unpack(archive: Path, folder: Path, limit: int) -> None:
    writer = MemberWriter(archive, folder, limit)
    with archive.open("rb") as file:
        magic = file.read(6)
    try:
        if magic == _SEVEN_ZIP:
            from mltk.utils.seven_zip import unpack_seven_zip

            unpack_seven_zip(archive, writer)
        elif zipfile.is_zipfile(archive):
            _unpack_zip(archive, writer)
        else:
            _unpack_tar(archive, magic, writer)
    except _DAMAGE as error:
        raise ArchiveError(f"The archive {archive} is damaged or not a zip or tar file: {error}") from error
    except OSError as error:
        if error.errno in (None, errno.EINVAL):  # bz2's way, and a seek by a wild offset
            raise ArchiveError(f"The archive {archive} is damaged: {error}") from error
        raise


def _unpack_zip(archive: Path, writer: "MemberWriter") -> None:
    with zipfile.ZipFile(archive) as opened:
        for member in opened.infolist():
            if _is_special(member.external_attr >> 16):
                raise writer.hostile(member.filename, "it is a link or a device")
            if member.is_dir():
                writer.folder(member.filename)
            else:
                writer.check_size(member.file_size)
                with opened.open(member) as content:
                    writer.file(member.filename, content)


def _is_special(mode: int) -> bool:
    """Tell whether a Unix mode is neither a plain file nor a folder; 0 (made elsewhere) is a plain file."""
    kind = mode & 0o170000
    return kind not in (0, 0o100000, 0o040000)


def _unpack_tar(archive: Path, magic: bytes, writer: "MemberWriter") -> None:
    openers = [opener for start, opener in _DECOMPRESSORS if magic.startswith(start)]
    with contextlib.ExitStack() as stack:
        opened_plain: Any = openers[0](archive, "rb") if openers else archive.open("rb")
        plain: IO[bytes] = stack.enter_context(opened_plain)
        # Headers and padding come on top of the files' bytes, at most a few blocks for each.
        bounded = _Bounded(plain, 2 * writer.limit, archive)
        opened = stack.enter_context(tarfile.open(fileobj=bounded, mode="r:"))  # type: ignore[call-overload]
        for member in opened:
            if member.isdir():
                writer.folder(member.name)
            elif member.isreg():
                writer.check_size(member.size)
                content = opened.extractfile(member)
                if content is not None:
                    writer.file(member.name, content)
            else:
                raise writer.hostile(member.name, "it is a link or a device")
        while bounded.read(_COPY_BYTES):  # the compressor's check sum comes last
            pass


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Bounded:
    """A decompressed tar stream that ends an attempt to fill the memory or to go on without end."""

    def __init__(self, stream: IO[bytes], limit: int, archive: Path) -> None:
        self._stream = stream
        self._limit = limit
        self._archive = archive

    def read(self, size: int = -1) -> bytes:
        if size < 0 or size > _LARGEST_READ:
            raise ArchiveError(f"Refused {self._archive}: a header in it claims to be {size} bytes long")
        self._check(self._stream.tell() + size)
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_SET:
            self._check(offset)
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def _check(self, position: int) -> None:
        if position > self._limit + _LARGEST_READ:
            raise ArchiveError(f"Refused {self._archive}: it unpacks to far more than its size lets expect")


class MemberWriter:
    """Writes members below a folder and counts them."""

    def __init__(self, archive: Path, folder: Path, limit: int) -> None:
        self.archive = archive
        self.root = folder
        self.limit = limit
        self.written = 0
        self.members = 0

    def hostile(self, name: str, why: str) -> ArchiveError:
        """Make the error for a member that is not safe."""
        return ArchiveError(f"Refused {self.archive}: its member {name!r} is not safe to unpack ({why})")

    def check_size(self, size: int) -> None:
        """Refuse what is too large before it is written; headers may lie, so `file` checks each piece too."""
        if size < 0 or self.written + size > self.limit:
            raise ArchiveError(
                f"Refused {self.archive}: it unpacks to more than {self.limit} bytes, "
                "far more than its size lets expect"
            )

    def check_name(self, name: str) -> None:
        """Refuse a name that leads out of the folder."""
        self._target(name)

    def folder(self, name: str) -> None:
        """Make a folder."""
        self._target(name).mkdir(parents=True, exist_ok=True)

    def file(self, name: str, content: _Readable) -> None:
        """Write a file."""
        with self.open(name) as output:
            while piece := content.read(_COPY_BYTES):
                self.write(output, piece)

    def open(self, name: str) -> BinaryIO:
        """Make a member's file; what goes into it goes through `write`."""
        target = self._target(name)
        if target == self.root:
            raise self.hostile(name, "it has no name")
        target.parent.mkdir(parents=True, exist_ok=True)
        return target.open("wb")

    def write(self, output: BinaryIO, piece: bytes) -> None:
        """Write a piece of a member, and count it."""
        self.check_size(len(piece))
        self.written += len(piece)
        output.write(piece)

    def _target(self, name: str) -> Path:
        self.members += 1
        if self.members > _MOST_MEMBERS:
            raise ArchiveError(f"Refused {self.archive}: it has more than {_MOST_MEMBERS} members")
        # Archives made on Windows may have backslashes; there they separate, so everywhere they must.
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or PureWindowsPath(name).anchor:
            raise self.hostile(name, "its path is absolute")
        if ".." in path.parts:
            raise self.hostile(name, "its path leads out of the folder")
        return self.root.joinpath(*path.parts)


def _single_folder(folder: Path) -> Path:
    """Return the only folder in `folder`, or `folder` itself if there is more in it."""
    entries = list(folder.iterdir())
    return entries[0] if len(entries) == 1 and entries[0].is_dir() else folder


def _move_into_place(source: Path, destination: Path, clean: bool, last_files: Mapping[str, str]) -> None:
    if clean and destination.exists():
        _remove(destination)
    if destination.is_dir() and any(destination.iterdir()):
        _merge(source, destination)
        for name, text in last_files.items():
            (destination / name).write_text(text, encoding="utf-8")
        return
    for name, text in last_files.items():
        (source / name).write_text(text, encoding="utf-8")
    if destination.is_dir():
        destination.rmdir()
    source.replace(destination)


def _merge(source: Path, destination: Path) -> None:
    for entry in sorted(source.iterdir()):
        target = destination / entry.name
        if entry.is_dir() and target.is_dir():
            _merge(entry, target)
        else:
            entry.replace(target)


def _remove(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


def _refuse_to_empty(folder: Path) -> None:
    """Refuse to empty a folder that holds the user's home or the folder where we run."""
    resolved = folder.resolve()
    for kept in (Path.home(), Path.cwd()):
        if kept.resolve().is_relative_to(resolved):
            raise MltkError(f"Refused to empty {folder}, which holds {kept}: choose another dest_dir")
