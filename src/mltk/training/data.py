"""From the data set's batches to what Keras trains on and validates with."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mltk.evaluation.samples import Samples, split_batch
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

        stream_dataset = tf.data.Dataset.from_generator(generate, output_signature=signature)
        return without_tuning(stream_dataset.prefetch(2))

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


def validation_dataset(samples: Samples, batch_size: int, steps: int | None = None) -> tuple[Any, int]:
    """Return validation batches as an endless tf.data.Dataset, and how many of them are all samples.

    Endless, because Keras makes a new pipeline for every validation of a data set that ends. That, and its own
    slicing of arrays, took a quarter of the time of an epoch of tflite_micro_speech.

    Args:
        samples: kept in memory in their own dtype.
        batch_size: samples of a batch; the last one of all has what is left.
        steps: only so many batches, always the first ones; None: all.

    Returns:
        Batches (x, y), float32, in the samples' order, over and over; the number of batches until they repeat.

    """
    import tensorflow as tf

    x, y = tf.constant(samples.x), tf.constant(samples.y)
    n_batches = -(-len(samples) // batch_size)
    n_batches = n_batches if steps is None else min(steps, n_batches)

    def batch(number: Any) -> tuple[Any, Any]:
        part = slice(number * batch_size, (number + 1) * batch_size)
        return tf.cast(x[part], tf.float32), tf.cast(y[part], tf.float32)

    return without_tuning(tf.data.Dataset.range(n_batches).map(batch).repeat()), n_batches


def without_tuning(dataset: Any) -> Any:
    """Switch off TensorFlow's tuning of a pipeline that has nothing to tune.

    With it a training's end hung in TensorFlow for 4 to 10 seconds in every third run, without it in none of ten.
    """
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)


def _count(batches: Any) -> int:
    """Return the number of batches of an epoch; by reading one where nobody tells."""
    if getattr(batches, "is_endless", False):
        raise TrainingError("The training data never ends: set steps_per_epoch, or leave out repeat()")
    try:
        return len(batches)
    except TypeError:
        return sum(1 for _ in batches)
