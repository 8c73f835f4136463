"""What a model trains on: the base of users' own data sets, and what loaders hand to the training."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from mltk.utils.errors import ModelError

# numpy is imported where it is used: to find an archive and read a text in it, numpy would take most of the time.
if TYPE_CHECKING:
    from numpy.typing import NDArray


@runtime_checkable
class Batches(Protocol):
    """Batches (x, y) of one epoch each time it is iterated: a feed, a tf.data.Dataset or `ArrayBatches`.

    x: features [batch, ...]; y: labels [batch, n_classes] (categorical) or [batch]. Some have len(), the
    number of batches.
    """

    def __iter__(self) -> Iterator[Any]:
        """Begin an epoch."""


@dataclass(frozen=True)
class LoadedDataset:
    """What `model.load_dataset` returns to the training and the evaluation.

    Attributes:
        training: batches to train with; None for the subset 'evaluation'.
        validation: batches to measure with, in the same order every time; None where the data set has none.
        counts: subset ('training', 'validation') -> class -> number of samples; empty where not known.
        class_weights: class index -> weight in the loss; None: all the same.

    """

    training: Batches | None
    validation: Batches | None
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    class_weights: dict[int, float] | None = None

    def close(self) -> None:
        """End the worker processes behind the batches, where there are any."""
        for batches in (self.training, self.validation):
            close = getattr(batches, "close", None)
            if callable(close):
                close()


class TensorBatches:
    """A tf.data.Dataset as `Batches` of numpy arrays.

    What the data set's own code raised comes out as it was, where TensorFlow would give its text in an error of its
    own.

    Args:
        dataset: a tf.data.Dataset of batches (x, y).

    """

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        """Return the number of batches.

        Raises:
            TypeError: nobody knows: the data set is endless, or made by a generator.

        """
        n_batches = int(self.dataset.cardinality())
        if n_batches < 0:
            raise TypeError("the number of batches is not known")
        return n_batches

    @property
    def is_endless(self) -> bool:
        """Whether the data set repeats for ever."""
        return int(self.dataset.cardinality()) == -1  # tf.data.INFINITE_CARDINALITY

    def __iter__(self) -> Iterator[Any]:
        """Begin an epoch.

        Raises:
            MltkError: what the data set raised.

        """
        import tensorflow as tf

        from mltk.datasets.tf_dataset_failures import failure_of

        try:
            yield from self.dataset.as_numpy_iterator()
        except tf.errors.OpError as error:
            cause = failure_of(error)
            if cause is None:
                raise
            raise cause from None


class MltkDataset:
    """Base of data sets that users write; `load_dataset` is called before a training and an evaluation."""

    def load_dataset(self, subset: str, test: bool = False, **kwargs: Any) -> Any:
        """Load the data.

        Args:
            subset: 'training' or 'evaluation'.
            test: a dry run: a few samples are enough.
            kwargs: for later.

        Returns:
            For 'training' the tuple (training, None, validation), for 'evaluation' the batches to measure
            with; each of them is a tf.data.Dataset or anything else that gives batches (x, y). Or arrays:
            (x, y, (x, y)), (x, y).

        """
        raise ModelError(
            f"{type(self).__name__} does not say how to load its data: define load_dataset(subset, test)"
        )

    def unload_dataset(self) -> None:
        """Free what `load_dataset` holds, such as worker processes."""

    def summarize_dataset(self) -> str:
        """Return a text about the data for the training's log."""
        return ""

    @staticmethod
    def summarize_class_counts(class_counts: Mapping[Any, Any]) -> str:
        """Return a text with the number of samples of each class.

        Args:
            class_counts: class -> number, or subset -> class -> number.

        """
        if not any(isinstance(value, Mapping) for value in class_counts.values()):
            return _counts_text("Dataset", class_counts) if class_counts else ""
        return "\n".join(
            _counts_text(f"{str(subset).capitalize()} dataset", counts)
            for subset, counts in class_counts.items()
            if isinstance(counts, Mapping) and counts
        )


def _counts_text(title: str, counts: Mapping[Any, int]) -> str:
    width = max(len(str(label)) for label in counts)
    lines = [f"{title}: Found {sum(counts.values())} samples belonging to {len(counts)} classes:"]
    lines += [f"{label!s:>{max(width, 10)}} = {count}" for label, count in counts.items()]
    return "\n".join(lines)


class ArrayBatches:
    """Batches out of two arrays, in order or shuffled anew every epoch.

    Args:
        x: [n, ...]; y: [n, ...].
        seed: shuffle with it; None keeps the order.

    Raises:
        ModelError: the arrays do not have the same number of samples, or none.

    """

    def __init__(
        self, x: "NDArray[Any]", y: "NDArray[Any]", batch_size: int, seed: int | None = None
    ) -> None:
        import numpy as np

        self.x, self.y = np.asarray(x), np.asarray(y)
        self.batch_size = batch_size
        self._seed = seed
        self._next_epoch = 0
        if len(self.x) == 0 or len(self.x) != len(self.y):
            raise ModelError(
                f"The data set gave {len(self.x)} samples and {len(self.y)} labels: give as many of each"
            )

    def __len__(self) -> int:
        return math.ceil(len(self.x) / self.batch_size)

    def __iter__(self) -> "Iterator[tuple[NDArray[Any], NDArray[Any]]]":
        epoch, self._next_epoch = self._next_epoch, self._next_epoch + 1
        return self.epoch(epoch)

    def epoch(self, epoch: int) -> "Iterator[tuple[NDArray[Any], NDArray[Any]]]":
        """Give the batches of one epoch, in the order that is this epoch's."""
        import numpy as np

        order = np.arange(len(self.x))
        if self._seed is not None:
            order = np.random.default_rng([self._seed, epoch]).permutation(len(self.x))
        for start in range(0, len(order), self.batch_size):
            chosen = order[start : start + self.batch_size]
            yield self.x[chosen], self.y[chosen]


def loaded_from(result: Any, subset: str, batch_size: int, seed: int) -> LoadedDataset:
    """Bring what a user's `load_dataset` returned into one form.

    Raises:
        ModelError: it is not one of the forms that `MltkDataset.load_dataset` tells.

    """
    if subset != "training":
        x, y = result if isinstance(result, tuple) and len(result) == 2 else (result, None)
        return LoadedDataset(None, _validation(x, y, batch_size))
    if not isinstance(result, tuple) or len(result) != 3:
        raise ModelError(
            f"load_dataset('training') returned {type(result).__name__}: "
            "it must return (training, None, validation)"
        )
    x, y, validation = result
    if validation is not None:
        pair = validation if isinstance(validation, tuple) else (validation, None)
        validation = _validation(pair[0], pair[1] if len(pair) > 1 else None, batch_size)
    return LoadedDataset(_batches(x, y, batch_size, seed), validation)


def _validation(x: Any, y: Any, batch_size: int) -> Batches:
    batches = _batches(x, y, batch_size, None)
    if isinstance(batches, TensorBatches) and batches.is_endless:
        raise ModelError("The validation data never ends: leave out repeat(), or use take(number of batches)")
    return batches


def _batches(x: Any, y: Any, batch_size: int, seed: int | None) -> Batches:
    if y is not None:
        return ArrayBatches(x, y, batch_size, seed)
    if hasattr(x, "as_numpy_iterator"):
        return TensorBatches(x)
    import numpy as np

    if isinstance(x, Iterable) and not isinstance(x, np.ndarray):
        return x
    raise ModelError(
        f"The data set returned {type(x).__name__} without labels: give batches (x, y), or arrays x and y"
    )


def balanced_weights(counts: Mapping[str, int], classes: list[str]) -> dict[int, float]:
    """Return class index -> weight so that every class counts the same: n / (k * n_c), scikit-learn's rule.

    Raises:
        ModelError: no sample is counted.

    """
    numbers = [int(counts.get(label, 0)) for label in classes]
    total = sum(numbers)
    if total == 0:
        raise ModelError(
            "class_weights = 'balanced' needs the number of samples of each class, and none are counted"
        )
    return {index: total / (len(numbers) * number) if number else 0.0 for index, number in enumerate(numbers)}
