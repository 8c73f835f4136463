"""A feed: batches in order, made ahead by worker processes."""

import weakref
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mltk.datasets.cache import ClipStore
from mltk.datasets.feed_recipe import ClipCache, ClipLike, Item, Recipe
from mltk.datasets.feed_slots import Slot, SlotRing
from mltk.datasets.feed_workers import Made, WorkerPool, acquire_pool, release_pool
from mltk.utils.errors import DatasetError
from mltk.utils.logging import get_mltk_logger

Batch = tuple[NDArray[Any], NDArray[np.float32]]

# Batches that are the same every epoch (validation) are kept if they are not larger than this.
_KEEP_BYTES = 256 << 20

# What was told of the cache on disk, so that it is told once.
_told: set[str] = set()


@dataclass(frozen=True, slots=True)
class _Ordered:
    """A batch in flight."""

    epoch: int
    number: int
    items: list[Item]
    future: "Future[Any]"
    slot: Slot | None


class Feed:
    """The batches of one subset, epoch by epoch.

    Iterating gives one epoch, the next one each time. `next_epoch` counts them and may be set, so that a
    resumed run goes on with the batches that the killed one would have seen. A feed that is not for training
    gives the same batches in the clips' order every time.

    A batch depends on the recipe's seed, the epoch and the clips' indices, on nothing else: not on the number
    of workers, and not on what was asked before.

    Args:
        recipe: how samples are made.
        clips: `mltk.datasets.selection.Clip` or alike; at least one.
        spare_clips: more clips of classes that `clips` has. A training epoch draws as many clips of such a class
            as `clips` has, out of both.
        batch_size: clips in a batch; the last one of an epoch has what is left.
        training: a new order and a new augmentation every epoch.
        shuffle: False keeps the clips' order in training too.
        max_batches: end each epoch after so many.
        n_workers: processes; 0 makes the batches in this one.
        max_pending: batches in flight.

    Raises:
        DatasetError: there are no clips, a number is out of range, or a clip's class is.

    """

    def __init__(
        self,
        recipe: Recipe,
        clips: Sequence[ClipLike],
        spare_clips: Sequence[ClipLike] = (),
        *,
        batch_size: int,
        training: bool,
        shuffle: bool = True,
        max_batches: int | None = None,
        n_workers: int = 0,
        max_pending: int = 4,
    ) -> None:
        for name, value in (("batch_size", batch_size), ("max_batches_pending", max_pending)):
            if value < 1:
                raise DatasetError(f"{name} must be 1 or more, not {value}")
        if max_batches is not None and max_batches < 1:
            raise DatasetError(f"max_batches must be 1 or more, not {max_batches}")
        if not clips:
            raise DatasetError("There are no clips to make batches of")
        self._items = _items(clips)
        self._spare = _items(spare_clips) if training else []
        every = self._items + self._spare
        wrong = next((item for item in every if not 0 <= item.class_id < recipe.n_classes), None)
        if wrong is not None:
            raise DatasetError(
                f"{wrong.path or 'A silence clip'} is of class {wrong.class_id}, "
                f"but there are {recipe.n_classes} classes"
            )
        self.recipe = recipe
        self.batch_size = batch_size
        self.training = training
        self.next_epoch = 0
        self._shuffle = shuffle and training
        self._n_batches = -(-len(clips) // batch_size)
        if max_batches is not None:
            self._n_batches = min(self._n_batches, max_batches)
        self._n_workers = n_workers
        self._max_pending = max_pending
        self._pending: deque[_Ordered] = deque()
        self._cache: ClipCache | None = None
        self._ring: SlotRing | None = None
        self._may_share = True
        self._kept: list[Batch] | None = None
        self._pool: WorkerPool | None = None
        self._release: Any = None

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""
        return self._n_batches

    @property
    def n_samples(self) -> int:
        """Number of clips of an epoch."""
        return min(len(self._items), self._n_batches * self.batch_size)

    @property
    def class_ids(self) -> NDArray[np.int64]:
        """The clips' classes in the order given, which is that of the batches of a feed that is not for
        training.
        """
        return np.array([item.class_id for item in self._items[: self.n_samples]], dtype=np.int64)

    def __iter__(self) -> Iterator[Batch]:
        """Give the next epoch."""
        epoch = self.next_epoch
        self.next_epoch += 1
        return self.epoch(epoch)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Give one epoch's batches.

        Args:
            epoch: 0 or more; of no effect where `training` is False.

        Yields:
            x [n, frames, channels, 1] in the recipe's `output_dtype`, and y one-hot float32 [n, n_classes].

        Raises:
            AudioError: a file can not be read.
            FrontendError: the frontend's settings are illegal.
            DatasetError: a worker process was killed.

        """
        if not self.training:
            return self._same_batches()
        if epoch < 0:
            raise DatasetError(f"There is no epoch {epoch}: they count from 0")
        return self._batches(epoch)

    def close(self) -> None:
        """Drop what is in flight and end the workers; a later epoch starts them again."""
        self._pending.clear()
        self._kept = self._cache = None
        if self._ring is not None:
            self._ring.close()
            self._ring = None
        if self._release is not None:
            self._release()
            self._release = self._pool = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _same_batches(self) -> Iterator[Batch]:
        if self._kept is not None:
            yield from self._kept
            return
        kept: list[Batch] = []
        size = 0
        for x, y in self._batches(0):
            size += x.nbytes + y.nbytes
            if size <= _KEEP_BYTES:
                kept.append((x, y))
            yield x, y
        if size <= _KEEP_BYTES:
            self._kept = kept

    def _items_of(self, epoch: int) -> list[Item]:
        """Return an epoch's clips in their order."""
        items = self._items
        for class_id in sorted({item.class_id for item in self._spare}):
            places = [i for i, item in enumerate(items) if item.class_id == class_id]
            pool = [items[i] for i in places] + [item for item in self._spare if item.class_id == class_id]
            drawn = np.random.default_rng((self.recipe.seed, epoch, class_id)).permutation(len(pool))
            items = list(items)
            for place, chosen in zip(places, drawn, strict=False):
                items[place] = pool[chosen]
        if not self._shuffle:
            return items
        order = np.random.default_rng((self.recipe.seed, epoch)).permutation(len(items))
        return [items[i] for i in order]

    def _batch_of(self, items: list[Item], number: int) -> list[Item]:
        return items[number * self.batch_size : (number + 1) * self.batch_size]

    def _batches(self, epoch: int) -> Iterator[Batch]:
        if self._n_workers == 0:
            yield from self._batches_of_this_process(epoch)
            return
        pool = self._acquire()
        if not (self._pending and (self._pending[0].epoch, self._pending[0].number) == (epoch, 0)):
            self._let_go()
        orders = self._tasks_from(epoch)
        try:
            for number in range(self._n_batches):
                while len(self._pending) < self._max_pending and (task := next(orders, None)) is not None:
                    self._pending.append(self._order(pool, *task))
                self._check_turn(epoch, number)
                yield self._received(pool, self._pending.popleft())
        except GeneratorExit:
            raise
        except BaseException:
            # An error ends the run, and so does Ctrl-C: nothing may go on working for it.
            self._pending.clear()
            pool.stop()
            raise

    def _batches_of_this_process(self, epoch: int) -> Iterator[Batch]:
        if self._cache is None:
            self._cache = ClipCache(store=ClipStore.of_user())
        cache = self._cache
        items = self._items_of(epoch)
        for number in range(self._n_batches):
            batch = self.recipe.make_batch(self._batch_of(items, number), epoch, cache)
            _tell(cache.problem)
            yield batch

    def _order(self, pool: WorkerPool, epoch: int, number: int, items: list[Item]) -> _Ordered:
        # cloudpickle, as loky: the settings may be of a class of the user's script.
        from cloudpickle import dumps

        slot = self._ring.take() if self._ring is not None else None
        return _Ordered(epoch, number, items, pool.submit(dumps(self.recipe), items, epoch, slot), slot)

    def _received(self, pool: WorkerPool, ordered: _Ordered) -> Batch:
        made = pool.result(ordered.future)
        _tell(made.problem)
        features = made.features
        if ordered.slot is not None and self._ring is not None:
            if features is None:
                features = self._ring.copy(ordered.slot, made.shape, np.dtype(made.dtype))
            self._ring.give_back(ordered.slot)
        elif self._ring is None and self._may_share:
            self._make_ring(made, len(ordered.items))
        return features, self.recipe.labels(ordered.items)

    def _make_ring(self, made: Made, n_items: int) -> None:
        """Make the slots, now that the first batch tells how large they have to be."""
        n_bytes = -(-made.features.nbytes // n_items) * self.batch_size
        try:
            self._ring = SlotRing(self._max_pending, n_bytes)
        except OSError:  # no shared memory here: the batches come through the pipe
            self._may_share = False

    def _let_go(self) -> None:
        """Forget what is in flight. It is not cancelled: loky 3.7 fails at cancelled work when it shuts down."""
        for ordered in self._pending:
            if ordered.slot is not None and self._ring is not None:
                _give_back_when_done(self._ring, ordered.slot, ordered.future)
        self._pending.clear()

    def _check_turn(self, epoch: int, number: int) -> None:
        """Hold that the next batch in flight is the one that this iterator owes."""
        if not self._pending or (self._pending[0].epoch, self._pending[0].number) != (epoch, number):
            raise DatasetError(
                "A feed gives one epoch at a time: finish or drop the first iterator before the second"
            )

    def _tasks_from(self, epoch: int) -> Iterator[tuple[int, int, list[Item]]]:
        """Give the batches to order: the rest of this epoch, then, for training, the next one's."""
        skip = len(self._pending)
        for ahead in (epoch, epoch + 1) if self.training else (epoch,):
            items = self._items_of(ahead)
            for number in range(self._n_batches):
                if skip:
                    skip -= 1
                    continue
                yield ahead, number, self._batch_of(items, number)

    def _acquire(self) -> WorkerPool:
        if self._pool is None:
            self._pool = acquire_pool(self._n_workers)
            self._release = weakref.finalize(self, release_pool, self._n_workers)
        return self._pool


def _items(clips: Sequence[ClipLike]) -> list[Item]:
    return [
        Item(clip.path, int(clip.class_id), int(clip.index), bool(getattr(clip, "partial", False)))
        for clip in clips
    ]


def _give_back_when_done(ring: SlotRing, slot: Slot, future: "Future[Any]") -> None:
    future.add_done_callback(lambda _: ring.give_back(slot))


def _tell(problem: str | None) -> None:
    """Warn, once, that decoded clips are kept in memory only."""
    if problem is not None and not _told:
        _told.add(problem)
        get_mltk_logger().warning(
            "Decoded clips are not kept on disk, so reading them takes longer: %s; "
            "MLTK_CACHE_DIR names another folder, MLTK_CLIP_CACHE_MB=0 switches this off",
            problem,
        )
