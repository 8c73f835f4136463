"""The processes that make batches while the model trains: `pool.ProcessPool` with the feed's cache and task.

One pool serves all feeds of a process that want the same number of workers.
"""

import pickle
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, NoReturn

from mltk.datasets.cache import ClipStore
from mltk.datasets.feed_recipe import CACHE_BYTES, ClipCache, Item, Recipe
from mltk.datasets.feed_slots import Slot, write
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


@dataclass(frozen=True, slots=True)
class Made:
    """What a worker sends when a batch is made.

    Attributes:
        features: None if they are in the slot.
        shape: of the features.
        dtype: of the features, its name.
        problem: why the cache on disk can not be written, or None.

    """

    features: Any
    shape: tuple[int, ...]
    dtype: str
    problem: str | None


_worker_cache: ClipCache | None = None
# The last recipe, by its pickled form: its frontend's tables are computed once, not for each batch.
_worker_recipe: tuple[bytes, Recipe] | None = None


def _start_cache(cache_bytes: int, store: ClipStore | None) -> None:
    global _worker_cache  # noqa: PLW0603 - a worker's state has no other home
    _worker_cache = ClipCache(cache_bytes, store)


def _unpickled(recipe: bytes) -> Recipe:
    global _worker_recipe  # noqa: PLW0603 - a worker's state has no other home
    if _worker_recipe is None or _worker_recipe[0] != recipe:
        _worker_recipe = (recipe, pickle.loads(recipe))
    return _worker_recipe[1]


def _run(recipe: bytes, items: Sequence[Item], epoch: int, slot: Slot | None) -> Any:
    """Make one batch in a worker process; see `Recipe.make_batch`."""
    cache = _worker_cache if _worker_cache is not None else ClipCache()
    try:
        features, _ = _unpickled(recipe).make_batch(items, epoch, cache)
        sent = None if slot is not None and write(slot, features) else features
        return Made(sent, features.shape, features.dtype.name, cache.problem)
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
        super().__init__(n_workers, advice, _start_cache, (CACHE_BYTES // n_workers, ClipStore.of_user()))

    def submit(
        self, recipe: bytes, items: Sequence[Item], epoch: int, slot: Slot | None = None
    ) -> "Future[Any]":
        """Order one batch of a pickled `Recipe`, whose features are to be put into a slot.

        Raises:
            DatasetError: a worker died since the last call.

        """
        return self.submit_task(_run, recipe, items, epoch, slot)

    def result(self, future: "Future[Any]") -> Made:
        """Wait for a batch.

        Raises:
            AudioError, FrontendError, DatasetError: what went wrong in the worker, or that it died.

        """
        made = self.wait(future)
        if isinstance(made, Failure):
            made.reraise()
        assert isinstance(made, Made)
        return made


_pools = SharedPools(WorkerPool)
acquire_pool = _pools.acquire
release_pool = _pools.release
