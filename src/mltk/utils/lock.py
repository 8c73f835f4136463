"""A lock between processes, so that two of them do not write the same thing."""

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from mltk.utils.errors import MltkError
from mltk.utils.files import make_folder
from mltk.utils.logging import get_mltk_logger

_POLL_SECONDS = 0.2


@contextlib.contextmanager
def file_lock(path: str | os.PathLike[str]) -> Iterator[None]:
    """Hold the lock for a file or folder; wait while another process holds it.

    The lock is a hidden file beside `path` that goes away with its holder. The system releases it when the
    process ends, however it ends.

    Raises:
        MltkError: the folder of `path` can not be written.

    """
    target = Path(path)
    lock_path = make_folder(target.parent) / f".{target.name}.lock"
    handle = _acquire(lock_path, target)
    try:
        yield
    finally:
        # Unlinked while held: whoever waits for this file notices in _is_current that it is no more the lock.
        # Windows does not unlink an open file; the empty file stays there.
        with contextlib.suppress(OSError):
            lock_path.unlink()
        os.close(handle)


def _acquire(lock_path: Path, target: Path) -> int:
    told = False
    while True:
        try:
            handle = os.open(lock_path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise MltkError(f"Can not write {lock_path}: {error.strerror or error}") from error
        if _try_lock(handle) and _is_current(handle, lock_path):
            return handle
        os.close(handle)
        if not told:
            get_mltk_logger().info("Waiting for another process that works on %s", target)
            told = True
        time.sleep(_POLL_SECONDS)


def _is_current(handle: int, lock_path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), lock_path.stat())
    except OSError:
        return False


if sys.platform == "win32":
    import msvcrt

    def _try_lock(handle: int) -> bool:
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks: go on without
            return True
        return True
