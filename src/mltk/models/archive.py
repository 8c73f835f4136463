"""Model archives NAME.mltk.zip: everything that a training made, in one file.

The layout is that of the reference toolkit (formats.md). Whatever an archive holds comes from a stranger:
names, sizes and contents are checked before anything is used, and nothing in it is ever executed here.
"""

import os
import re
import stat
import time
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from mltk.utils.errors import ArchiveError
from mltk.utils.files import is_writable_folder, make_folder, replacing, write_bytes

ARCHIVE_SUFFIX = ".mltk.zip"
TEST_SUFFIX = "-test"

MAX_MEMBERS = 4096
MAX_MEMBER_SIZE = 512 * 2**20
MAX_TOTAL_SIZE = 2048 * 2**20
# Deflate can not shrink more than 1032 times; an honest member that comes close is tiny (a file of zeros).
MAX_RATIO = 200
RATIO_FREE_SIZE = 16 * 2**20

_PIECE = 2**20
# What zipfile and zlib raise on bytes that are no proper zip.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OverflowError,
)
_WINDOWS_DRIVE = re.compile(r"^[A-Za-z]:")


class ModelArchive:
    """One archive on disk. Each call opens and closes the file, so that it can be replaced in between."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Open an archive and check its list of members.

        Raises:
            ArchiveError: there is no such file, it is no zip, or a member's name, type or size is not
                allowed.

        """
        self.path = Path(path)
        self._members = self._read_index()

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> "ModelArchive":
        """Open an archive; the same as `ModelArchive(path)`."""
        return cls(path)

    @classmethod
    def create(cls, path: str | os.PathLike[str], members: Mapping[str, bytes]) -> "ModelArchive":
        """Write a new archive, whole or not at all; an older one at this path is replaced.

        Raises:
            ArchiveError: a member's name is not allowed.
            MltkError: the file can not be written.

        """
        for name in members:
            _check_name(Path(path), name)
        _check_folder(Path(path))
        with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as target:
            for name, data in members.items():
                target.writestr(_new_info(name), data)
        return cls(path)

    @property
    def name(self) -> str:
        """The model's name: the stem of its specification in the archive, else of the zip."""
        zip_name = archive_stem(self.path)
        if f"{zip_name}.py" in self._members:
            return zip_name
        scripts = [name for name in self._members if "/" not in name and name.endswith(".py")]
        return scripts[0].removesuffix(".py") if len(scripts) == 1 else zip_name

    @property
    def is_test(self) -> bool:
        """Whether a dry run made the archive."""
        return self.path.name.endswith(TEST_SUFFIX + ARCHIVE_SUFFIX)

    @property
    def names(self) -> list[str]:
        """Names of all members, without folders, in their order."""
        return list(self._members)

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def read(self, name: str) -> bytes:
        """Return a member's bytes.

        Raises:
            ArchiveError: there is none of this name, or it is damaged.

        """
        info = self._members.get(name)
        if info is None:
            raise ArchiveError(
                f"{self.path} has no '{name}': it has {', '.join(self._members) or 'nothing in it'}"
            )
        try:
            with zipfile.ZipFile(self.path) as source, source.open(info) as member:
                # The index may lie about the size: never read more than it promised.
                data = member.read(info.file_size + 1)
        except (*_DAMAGE, OSError) as error:
            raise ArchiveError(f"{self.path} is damaged at '{name}': {error}") from error
        if len(data) != info.file_size:
            raise ArchiveError(f"{self.path} is damaged: '{name}' is not as long as the archive says")
        return data

    def specification(self) -> tuple[str, bytes]:
        """Return the file name and the bytes of the model's specification (a .py, not executed).

        Raises:
            ArchiveError: there is none.

        """
        name = f"{self.name}.py"
        return name, self.read(name)

    def tflite_member(self, test: bool = False) -> str | None:
        """Return the name of the member with the int8 .tflite; None where the model was not quantized."""
        wanted = f"{self.name}.test.tflite" if test or self.is_test else f"{self.name}.tflite"
        if wanted in self._members:
            return wanted
        found = [name for name in self._top_level(".tflite") if not name.endswith(".float32.tflite")]
        return found[0] if len(found) == 1 else None

    def tflite_bytes(self, test: bool = False) -> bytes:
        """Return the bytes of the .tflite.

        Raises:
            ArchiveError: there is none.

        """
        member = self.tflite_member(test)
        if member is None:
            raise ArchiveError(f"{self.path} has no .tflite: make it with 'mltk quantize {self.name}'")
        return self.read(member)

    def keras_member(self, test: bool = False) -> str:
        """Return the name of the member with the float model, .keras before .h5.

        Raises:
            ArchiveError: there is none.

        """
        stem = f"{self.name}.test" if test or self.is_test else self.name
        for candidate in (f"{stem}.keras", f"{stem}.h5"):
            if candidate in self._members:
                return candidate
        found = self._top_level(".keras") or self._top_level(".h5")
        if len(found) == 1:
            return found[0]
        raise ArchiveError(f"{self.path} has no float model ({stem}.keras or {stem}.h5): train it again")

    def extract(self, folder: str | os.PathLike[str], names: Iterable[str] | None = None) -> list[Path]:
        """Write members below a folder, each whole or not at all.

        Args:
            folder: where to; it is made.
            names: which members; all without it.

        Returns:
            The files' paths.

        """
        root = make_folder(folder)
        return [
            write_bytes(root / name, self.read(name)) for name in (self.names if names is None else names)
        ]

    def update(self, changes: Mapping[str, bytes | None]) -> None:
        """Add and replace members, or take them out (None); the others keep their bytes.

        The file changes at once or, if anything fails, not at all.

        Raises:
            ArchiveError: a name is not allowed, or the archive is damaged.
            MltkError: the file can not be written.

        """
        for name in changes:
            _check_name(self.path, name)
        _check_folder(self.path)
        with (
            replacing(self.path) as temporary,
            zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as target,
        ):
            for name, info in self._members.items():
                if name not in changes:
                    target.writestr(_copied_info(info), self.read(name))
            for name, data in changes.items():
                if data is not None:
                    target.writestr(_new_info(name), data)
        self._members = self._read_index()

    def _top_level(self, suffix: str) -> list[str]:
        return [name for name in self._members if "/" not in name and name.endswith(suffix)]

    def _read_index(self) -> dict[str, zipfile.ZipInfo]:
        if not self.path.is_file():
            raise ArchiveError(f"There is no model archive at {self.path}: check the path")
        try:
            with zipfile.ZipFile(self.path) as source:
                infos = source.infolist()
        except _DAMAGE as error:
            raise ArchiveError(f"{self.path} is not a model archive: {error}") from error
        except OSError as error:
            raise ArchiveError(f"Can not read {self.path}: {error.strerror or error}") from error
        return _checked_members(self.path, infos)


def archive_stem(path: Path) -> str:
    """Return the model's name that an archive's file name tells: without '.mltk.zip' and '-test'."""
    return path.name.removesuffix(ARCHIVE_SUFFIX).removesuffix(TEST_SUFFIX)


def _check_folder(path: Path) -> None:
    if path.parent.is_dir() and not is_writable_folder(path.parent):
        raise ArchiveError(f"Can not write {path}: its folder is read-only")


def _checked_members(path: Path, infos: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    if len(infos) > MAX_MEMBERS:
        raise ArchiveError(f"{path} has {len(infos)} members; a model archive has at most {MAX_MEMBERS}")
    members: dict[str, zipfile.ZipInfo] = {}
    folded: set[str] = set()
    total = 0
    for info in infos:
        _check_name(path, info.filename.removesuffix("/"))
        _check_kind(path, info)
        if info.is_dir():
            continue
        # Two names that differ in case only are one file on Windows and macOS.
        if info.filename.casefold() in folded:
            raise ArchiveError(f"{path} has '{info.filename}' twice; such an archive is not opened")
        folded.add(info.filename.casefold())
        members[info.filename] = info
        total += info.file_size
        _check_size(path, info, total)
    return members


def _check_name(path: Path, name: str) -> None:
    parts = PurePosixPath(name).parts
    bad = (
        not name
        or name != "/".join(parts)
        or name.startswith("/")
        or ".." in parts
        or "\\" in name
        or not name.isprintable()
        or _WINDOWS_DRIVE.match(name) is not None
    )
    if bad:
        raise ArchiveError(
            f"{path} has a member with the name {name!r}, which leads out of a folder; it is not opened"
        )


def _check_kind(path: Path, info: zipfile.ZipInfo) -> None:
    mode = info.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise ArchiveError(f"{path} has '{info.filename}', a link or device; only files are allowed")
    if info.flag_bits & 0x1:
        raise ArchiveError(f"{path} has '{info.filename}', which is encrypted; that is not supported")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ArchiveError(
            f"{path} has '{info.filename}' in a compression other than deflate; that is not supported"
        )


def _check_size(path: Path, info: zipfile.ZipInfo, total: int) -> None:
    if info.file_size > MAX_MEMBER_SIZE or total > MAX_TOTAL_SIZE:
        raise ArchiveError(
            f"{path} unpacks to more than a model archive may hold ({MAX_MEMBER_SIZE >> 20} MiB a file, "
            f"{MAX_TOTAL_SIZE >> 20} MiB in all), first at '{info.filename}'"
        )
    if info.file_size > RATIO_FREE_SIZE and info.file_size > MAX_RATIO * max(1, info.compress_size):
        raise ArchiveError(
            f"{path} has '{info.filename}', which unpacks to far more than it holds; it is not opened"
        )


def _new_info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, time.localtime()[:6])
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o644 << 16
    return info


def _copied_info(info: zipfile.ZipInfo) -> zipfile.ZipInfo:
    copy = zipfile.ZipInfo(info.filename, info.date_time)
    copy.compress_type = info.compress_type
    copy.external_attr = info.external_attr
    copy.comment = info.comment
    return copy
