"""Files that are whole or not there: write beside, then rename."""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mltk.utils.errors import MltkError


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path in the folder of `path`; rename it to `path` if the block ends without an error.

    Raises:
        MltkError: the folder can not be written, or the disk is full.

    """
    final = Path(path)
    temporary: Path | None = None
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{final.name}.", suffix=".part", dir=final.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        # mkstemp makes files for this user only; what we leave behind has the rights any new file would have.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(final)
    except OSError as error:
        raise MltkError(f"Can not write {final}: {error.strerror or error}") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_bytes(path: str | os.PathLike[str], data: bytes) -> Path:
    """Write a whole file or nothing."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)
    return Path(path)


def write_text(path: str | os.PathLike[str], text: str) -> Path:
    """Write a whole UTF-8 text file or nothing."""
    return write_bytes(path, text.encode("utf-8"))


def make_folder(path: str | os.PathLike[str]) -> Path:
    """Make a folder and its parents.

    Raises:
        MltkError: it can not be made.

    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MltkError(f"Can not make the folder {folder}: {error.strerror or error}") from error
    return folder


def is_writable_folder(path: str | os.PathLike[str]) -> bool:
    """Tell whether new files may be put into a folder.

    The permission bits count for the superuser too: a folder that its owner closed is not ours to write.
    """
    folder = Path(path)
    return folder.is_dir() and bool(folder.stat().st_mode & 0o222) and os.access(folder, os.W_OK | os.X_OK)


def file_hash(path: str | os.PathLike[str], algorithm: str = "sha256") -> str:
    """Return the hex digest of a file, read in pieces."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def read_bytes(path: str | os.PathLike[str], what: str) -> bytes:
    """Read a whole file that the user named.

    Args:
        path: the file.
        what: what it should be, for the error's sentence ("model", "parameter file").

    Raises:
        MltkError: it is missing, a folder, or can not be read.

    """
    file = Path(path)
    if not file.exists():
        raise MltkError(f"There is no {what} at {file}: check the path")
    if file.is_dir():
        raise MltkError(f"{file} is a folder where a {what} was expected")
    try:
        return file.read_bytes()
    except OSError as error:
        raise MltkError(f"Can not read the {what} {file}: {error.strerror or error}") from error
