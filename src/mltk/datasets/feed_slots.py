"""Where workers put their features: slots of shared memory, so that no batch is pickled or sent through a pipe."""

import contextlib
import os
import sys
import threading
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import resource_tracker, shared_memory
from typing import Any

import numpy as np
from numpy.typing import NDArray

_ALIGNMENT = 64


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for one batch of features; this, and not the features, travels between the processes."""

    name: str
    offset: int
    n_bytes: int


class SlotRing:
    """Slots for the batches that are made ahead.

    The system's name of the memory goes with `close()`, with this object or with Python; if this process is
    killed, multiprocessing's resource tracker removes it. A worker that still writes keeps its own view until it ends.

    Args:
        n_slots: batches in flight at most.
        n_bytes: of one batch.

    Raises:
        OSError: there is not so much shared memory.

    """

    def __init__(self, n_slots: int, n_bytes: int) -> None:
        stride = -(-n_bytes // _ALIGNMENT) * _ALIGNMENT
        self._memory = shared_memory.SharedMemory(create=True, size=max(1, n_slots * stride))
        self._end = weakref.finalize(self, _remove, self._memory)
        try:
            # Without this a container's small /dev/shm would end the process when its last page is written.
            if hasattr(os, "posix_fallocate") and sys.platform == "linux":
                os.posix_fallocate(self._memory._fd, 0, self._memory.size)  # type: ignore[attr-defined]
        except OSError:
            self.close()
            raise
        self._free = [Slot(self._memory.name, number * stride, n_bytes) for number in range(n_slots)]
        self._lock = threading.Lock()

    def take(self) -> Slot | None:
        """Return a free slot, or None: abandoned tasks may still write to all of them."""
        with self._lock:
            return self._free.pop() if self._free else None

    def give_back(self, slot: Slot) -> None:
        """Let the next batch have a slot into which nobody writes any more."""
        with self._lock:
            self._free.append(slot)

    def copy(self, slot: Slot, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return a copy of the features in a slot."""
        return np.ndarray(shape, dtype, self._memory.buf, slot.offset).copy()

    def close(self) -> None:
        """Remove the memory."""
        self._end()


def _remove(memory: shared_memory.SharedMemory) -> None:
    with contextlib.suppress(OSError, BufferError):
        memory.close()
    with contextlib.suppress(OSError):
        memory.unlink()


# A worker's views, by the memory's name. A feed that was closed leaves its own until the worker's next new one.
_attached: dict[str, shared_memory.SharedMemory] = {}
_MOST_ATTACHED = 8


def write(slot: Slot, features: NDArray[Any]) -> bool:
    """Put a batch into its slot, in the worker.

    Returns:
        False if the slot is gone or too small.

    """
    if features.nbytes > slot.n_bytes:
        return False
    memory = _attached.get(slot.name)
    if memory is None:
        try:
            memory = _attach(slot.name)
        except OSError:
            return False
        while len(_attached) >= _MOST_ATTACHED:
            _attached.pop(next(iter(_attached))).close()
        _attached[slot.name] = memory
    np.ndarray(features.shape, features.dtype, memory.buf, slot.offset)[...] = features
    return True


def _attach(name: str) -> shared_memory.SharedMemory:
    if sys.version_info >= (3, 13):
        return shared_memory.SharedMemory(name, track=False)
    with _untracked():
        return shared_memory.SharedMemory(name)


@contextlib.contextmanager
def _untracked() -> Iterator[None]:
    """Attach without the tracker, which would remove the memory when this worker ends.

    (Python 3.13 has track=False for it: https://github.com/python/cpython/issues/82300.)
    """
    register = resource_tracker.register
    resource_tracker.register = lambda name, rtype: None
    try:
        yield
    finally:
        resource_tracker.register = register
