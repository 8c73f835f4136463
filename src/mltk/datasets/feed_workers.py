"""The processes that make batches while the model trains.

loky starts them: it neither forks (TensorFlow's threads do not survive that) nor imports the user's script
    again, and it
tells when a worker dies. One pool serves all feeds of a process that want the same number of workers.
"""

import os
import signal
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, NoReturn

from mltk.datasets.feed_recipe import CACHE_BYTES, ClipCache, Item, Recipe
from mltk.utils.errors import AudioError, DatasetError, FrontendError, MltkError

# Idle workers end by themselves after this; the next batch starts new ones.
_IDLE_TIMEOUT_S = 300
_PARENT_CHECK_S = 1.0
# The work of a batch is one thread's; threads of BLAS or OpenMP in every worker would only get in each
# other's way.
_ENVIRONMENT = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass(frozen=True, slots=True)
class Failure:
    """A user's error that a worker met; it travels as text, since not every exception survives pickling."""

    kind: str
    message: str

    def reraise(self) -> NoReturn:
        """Raise it in this process.

        Raises:
            AudioError, FrontendError: as in the worker; DatasetError for every other kind.

        """
        kinds: dict[str, type[MltkError]] = {"AudioError": AudioError, "FrontendError": FrontendError}
        raise kinds.get(self.kind, DatasetError)(self.message)


_worker_cache: ClipCache | None = None


def _start_worker(cache_bytes: int, parent: int) -> None:
    """Set a worker up. Ctrl-C reaches every process of a terminal; the parent is the one to react to it."""
    global _worker_cache  # noqa: PLW0603 - a worker's state has no other home
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _worker_cache = ClipCache(cache_bytes)
    if os.name == "posix":
        threading.Thread(target=_end_with_parent, args=(parent,), daemon=True).start()


def _end_with_parent(parent: int) -> None:
    """End this worker when its parent was killed: an orphan is adopted by another process. (POSIX only.)"""
    while os.getppid() == parent:
        time.sleep(_PARENT_CHECK_S)
    os._exit(1)


def _run(recipe: Recipe, items: Sequence[Item], epoch: int) -> Any:
    """Make one batch in a worker process; see `Recipe.make_batch`."""
    cache = _worker_cache if _worker_cache is not None else ClipCache()
    try:
        return recipe.make_batch(items, epoch, cache)
    except MltkError as error:
        return Failure(type(error).__name__, str(error))
    except BaseException as error:
        error.add_note(f"while making a batch of {[item.path for item in items]}")
        raise


class WorkerPool:
    """Worker processes, started with the first batch and again after they were stopped.

    Args:
        n_workers: number of processes.

    """

    def __init__(self, n_workers: int) -> None:
        self.n_workers = n_workers
        self._executor: Any = None

    def submit(self, recipe: Recipe, items: Sequence[Item], epoch: int) -> "Future[Any]":
        """Order one batch.

        Raises:
            DatasetError: a worker died since the last call.

        """
        from loky import ProcessPoolExecutor
        from loky.process_executor import BrokenProcessPool

        if self._executor is None:
            self._executor = ProcessPoolExecutor(
                max_workers=self.n_workers,
                timeout=_IDLE_TIMEOUT_S,
                initializer=_start_worker,
                initargs=(CACHE_BYTES // self.n_workers, os.getpid()),
                env=_ENVIRONMENT,
            )
        try:
            future: Future[Any] = self._executor.submit(_run, recipe, items, epoch)
        except BrokenProcessPool as error:
            raise self._death() from error
        return future

    def result(self, future: "Future[Any]") -> Any:
        """Wait for a batch.

        Raises:
            AudioError, FrontendError, DatasetError: what went wrong in the worker, or that it died.

        """
        from loky.process_executor import BrokenProcessPool

        try:
            batch = future.result()
        except BrokenProcessPool as error:
            raise self._death() from error
        if isinstance(batch, Failure):
            batch.reraise()
        return batch

    def stop(self) -> None:
        """End the processes at once, whatever they do."""
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=True, kill_workers=True)

    def _death(self) -> DatasetError:
        self.stop()
        return DatasetError(
            "A worker process that prepares batches was killed; if the memory was used up, give the data "
            "generator fewer `cores` or a smaller `max_batches_pending`"
        )


_pools: dict[int, tuple[WorkerPool, int]] = {}
_pools_lock = threading.Lock()


def acquire_pool(n_workers: int) -> WorkerPool:
    """Return the pool of so many workers; give it back with `release_pool`."""
    with _pools_lock:
        pool, users = _pools.get(n_workers) or (WorkerPool(n_workers), 0)
        _pools[n_workers] = (pool, users + 1)
        return pool


def release_pool(n_workers: int) -> None:
    """Give a pool back; the last user's return ends its processes."""
    with _pools_lock:
        pool, users = _pools[n_workers]
        if users > 1:
            _pools[n_workers] = (pool, users - 1)
            return
        del _pools[n_workers]
    pool.stop()


def worker_count(cores: float) -> int:
    """Return how many workers a `cores` setting means on this machine.

    Args:
        cores: a number of processes, or up to 1.0 (as a float) a share of the processors; more than there are
            is clamped.

    Returns:
        1 or more.

    Raises:
        DatasetError: it is not a number above 0.

    """
    if isinstance(cores, bool) or not isinstance(cores, int | float) or not 0 < cores < float("inf"):
        raise DatasetError(
            f"cores must be a number of processes, or a share of the processors up to 1.0, not {cores!r}"
        )
    import loky

    processors = int(loky.cpu_count())
    wanted = cores * processors if isinstance(cores, float) and cores <= 1.0 else cores
    return max(1, min(round(wanted), processors))
