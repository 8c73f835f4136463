"""From the data set's batches to the stream that Keras trains on."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mltk.evaluation.samples import split_batch
from mltk.utils.errors import TrainingError

FloatBatch = tuple[NDArray[np.float32], NDArray[np.float32]]


class TrainingStream:
    """The training batches of epoch after epoch, as one endless tf.data.Dataset.

    Endless, so that the workers go on with the next epoch's batches while Keras validates.

    Attributes:
        steps: batches an epoch.
        failure: the error that ended the data set; through TensorFlow it passes as a text only.

    """

    def __init__(self, batches: Iterable[Any], first_epoch: int = 0, steps: int | None = None) -> None:
        """Set up.

        Args:
            batches: iterable once an epoch.
            first_epoch: number of the first epoch, from 0.
            steps: batches an epoch; None: all of them, counted if need be.

        Raises:
            TrainingError: the data set never ends and `steps` is None.

        """
        self._batches = batches
        self._epoch = first_epoch
        self.steps = steps or _count(batches)
        self.failure: BaseException | None = None

    def dataset(self) -> Any:
        """Return the tf.data.Dataset of (x, y) batches, float32.

        Raises:
            TrainingError: there is no batch.

        """
        import tensorflow as tf

        stream = self._stream()
        first = next(stream)
        signature = tuple(tf.TensorSpec((None, *array.shape[1:]), tf.float32) for array in first)

        def generate() -> Iterator[FloatBatch]:
            yield first
            yield from stream

        return tf.data.Dataset.from_generator(generate, output_signature=signature).prefetch(2)

    def _stream(self) -> Iterator[FloatBatch]:
        try:
            while True:
                n_batches = 0
                for batch in self._one_epoch():
                    x, y = split_batch(batch)
                    yield np.asarray(x, np.float32), np.asarray(y, np.float32)
                    n_batches += 1
                if n_batches == 0:
                    raise TrainingError(
                        "The data set gave no training samples: check its folder and the classes"
                    )
                self._epoch += 1
        except GeneratorExit:
            raise
        except BaseException as error:
            self.failure = error
            raise

    def _one_epoch(self) -> Iterable[Any]:
        epoch = getattr(self._batches, "epoch", None)
        # A feed draws other augmentations in each epoch; told which, a resumed run draws those of an
        # uninterrupted one.
        batches: Iterable[Any] = epoch(self._epoch) if callable(epoch) else self._batches
        return batches


def _count(batches: Any) -> int:
    """Return the number of batches of an epoch; by reading one where nobody tells."""
    if getattr(batches, "is_endless", False):
        raise TrainingError("The training data never ends: set steps_per_epoch, or leave out repeat()")
    try:
        return len(batches)
    except TypeError:
        return sum(1 for _ in batches)
