"""The processes that make batches while the model trains: `pool.ProcessPool` with the feed's cache and task.

One pool serves all feeds of a process that want the same number of workers.
"""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, NoReturn

from mltk.datasets.feed_recipe import CACHE_BYTES, ClipCache, Item, Recipe
from mltk.datasets.pool import ProcessPool, SharedPools, worker_count
from mltk.utils.errors import AudioError, DatasetError, FrontendError, MltkError

__all__ = ["WorkerPool", "acquire_pool", "release_pool", "worker_count"]


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


def _start_cache(cache_bytes: int) -> None:
    global _worker_cache  # noqa: PLW0603 - a worker's state has no other home
    _worker_cache = ClipCache(cache_bytes)


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


class WorkerPool(ProcessPool):
    """Worker processes that make a feed's batches.

    Args:
        n_workers: number of processes.

    """

    def __init__(self, n_workers: int) -> None:
        advice = "give the data generator fewer `cores` or a smaller `max_batches_pending`"
        super().__init__(n_workers, advice, _start_cache, (CACHE_BYTES // n_workers,))

    def submit(self, recipe: Recipe, items: Sequence[Item], epoch: int) -> "Future[Any]":
        """Order one batch.

        Raises:
            DatasetError: a worker died since the last call.

        """
        return self.submit_task(_run, recipe, items, epoch)

    def result(self, future: "Future[Any]") -> Any:
        """Wait for a batch.

        Raises:
            AudioError, FrontendError, DatasetError: what went wrong in the worker, or that it died.

        """
        batch = self.wait(future)
        if isinstance(batch, Failure):
            batch.reraise()
        return batch


_pools = SharedPools(WorkerPool)
acquire_pool = _pools.acquire
release_pool = _pools.release
