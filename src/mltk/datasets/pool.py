"""Worker processes for data: started on demand, shared by those who want as many, and ended for sure.

loky starts them: it neither forks (TensorFlow's threads do not survive that) nor imports the user's script
again, and it tells when a worker dies.
"""

import atexit
import contextlib
import os
import signal
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

from mltk.utils.errors import DatasetError

# Idle workers end by themselves after this; the next batch starts new ones.
_IDLE_TIMEOUT_S = 300
_PARENT_CHECK_S = 1.0
# The work of a batch is one thread's; threads of BLAS or OpenMP in every worker would only get in each
# other's way. A worker that imports TensorFlow must not take the GPU from the training.
_ENVIRONMENT = {
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    "CUDA_VISIBLE_DEVICES": "-1",
}


class ProcessPool:
    """Worker processes, started with the first task and again after they were stopped.

    Args:
        n_workers: number of processes.
        advice: what the user can do if the memory was used up: the end of a sentence.
        start: called in each new worker with `start_arguments`; found by its module, so not a user's.

    """

    def __init__(
        self,
        n_workers: int,
        advice: str,
        start: Callable[..., None] | None = None,
        start_arguments: tuple[Any, ...] = (),
    ) -> None:
        self.n_workers = n_workers
        self._advice = advice
        self._start = start
        self._start_arguments = start_arguments
        self._executor: Any = None
        self._lock = threading.Lock()

    def submit_task(self, function: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        """Order a call of a function of this package.

        Raises:
            DatasetError: a worker died since the last call, or the system lets none start.

        """
        from loky.process_executor import BrokenProcessPool

        if self._executor is None:
            _start_tracker()
        try:
            with _interrupts_held():
                future: Future[Any] = self._running().submit(function, *arguments)
        except BrokenProcessPool as error:
            raise self._death() from error
        except OSError as error:
            self.stop()
            raise DatasetError(
                f"Worker processes that prepare batches can not be started ({error.strerror or error}): they need "
                f"a little shared memory (/dev/shm on Linux; docker run --shm-size=64m) and free process numbers"
            ) from error
        return future

    def wait(self, future: "Future[Any]") -> Any:
        """Wait for a task's result.

        Raises:
            DatasetError: a worker died. What the task raised is raised as it is.

        """
        from loky.process_executor import BrokenProcessPool

        try:
            return future.result()
        except BrokenProcessPool as error:
            raise self._death() from error

    def stop(self) -> None:
        """End the processes at once, whatever they do."""
        with self._lock:
            executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=True, kill_workers=True)

    def _running(self) -> Any:
        from loky import ProcessPoolExecutor

        with self._lock:
            if self._executor is None:
                self._executor = ProcessPoolExecutor(
                    max_workers=self.n_workers,
                    timeout=_IDLE_TIMEOUT_S,
                    initializer=_start_worker,
                    initargs=(os.getpid(), self._start, self._start_arguments),
                    env=_ENVIRONMENT,
                )
                _stop_at_exit(self)
            return self._executor

    def _death(self) -> DatasetError:
        self.stop()
        return DatasetError(
            f"A worker process that prepares batches was killed; if the memory was used up, {self._advice}"
        )


_PoolType = TypeVar("_PoolType", bound=ProcessPool)


class SharedPools(Generic[_PoolType]):
    """One pool for each number of workers, for all who want that many; the last one to leave ends it."""

    def __init__(self, make: Callable[[int], _PoolType]) -> None:
        self._make = make
        self._pools: dict[int, tuple[_PoolType, int]] = {}
        self._lock = threading.Lock()

    def acquire(self, n_workers: int) -> _PoolType:
        """Return the pool of so many workers; give it back with `release`."""
        with self._lock:
            pool, users = self._pools.get(n_workers) or (self._make(n_workers), 0)
            self._pools[n_workers] = (pool, users + 1)
            return pool

    def release(self, n_workers: int) -> None:
        """Give a pool back; the last user's return ends its processes."""
        with self._lock:
            pool, users = self._pools[n_workers]
            if users > 1:
                self._pools[n_workers] = (pool, users - 1)
                return
            del self._pools[n_workers]
        pool.stop()


def worker_count(cores: float, name: str = "cores") -> int:
    """Return how many workers a setting means on this machine.

    Args:
        cores: a number of processes, or up to 1.0 (as a float) a share of the processors; more than there are
            is clamped.
        name: what the user knows the setting by.

    Returns:
        1 or more.

    Raises:
        DatasetError: it is not a number above 0.

    """
    if isinstance(cores, bool) or not isinstance(cores, int | float) or not 0 < cores < float("inf"):
        raise DatasetError(
            f"{name} must be a number of processes, or a share of the processors up to 1.0, not {cores!r}"
        )
    import loky

    processors = int(loky.cpu_count())
    wanted = cores * processors if isinstance(cores, float) and cores <= 1.0 else cores
    return max(1, min(round(wanted), processors))


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Start processes and threads that never see Ctrl-C: they inherit that it is blocked. (POSIX only.)

    `_start_worker` comes too late for a worker that is still importing. One that comes meanwhile is told to this thread
    at the block's end.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_tracker() -> None:
    """Start multiprocessing's helper, which would let interrupts through again where they are held. (Python 3.11.)

    Not before each task: whether it runs is asked by writing to it, which takes as long as ordering the task.
    """
    if os.name == "posix":
        from multiprocessing import resource_tracker

        resource_tracker.ensure_running()


def _start_worker(parent: int, start: Callable[..., None] | None, arguments: tuple[Any, ...]) -> None:
    """Set a worker up. Ctrl-C reaches every process of a terminal; the parent is the one to react to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if os.name == "posix":
        threading.Thread(target=_end_with_parent, args=(parent,), daemon=True).start()
    if start is not None:
        start(*arguments)


def _end_with_parent(parent: int) -> None:
    """End this worker when its parent was killed: an orphan is adopted by another process. (POSIX only.)"""
    while os.getppid() == parent:
        time.sleep(_PARENT_CHECK_S)
    os._exit(1)


_running_pools: "weakref.WeakSet[ProcessPool]" = weakref.WeakSet()


def _stop_at_exit(pool: ProcessPool) -> None:
    """Have a pool stopped when Python ends. Called after loky was imported, so this runs before loky's own
    handler, which would wait for the tasks.
    """
    if not _running_pools:
        atexit.unregister(_stop_running_pools)
        atexit.register(_stop_running_pools)
    _running_pools.add(pool)


def _stop_running_pools() -> None:
    for pool in list(_running_pools):
        pool.stop()
