"""Learning rates that specifications use."""

import math
from collections.abc import Sequence
from typing import Any

import keras

from mltk.utils.errors import ModelError


class CosineLearnRate(keras.callbacks.Callback):  # type: ignore[misc]
    """Half a cosine from the highest rate down to almost nothing, over however many epochs the run has.

    The rate of an epoch depends on its number alone, so a resumed training goes on as it would have.
    Source: Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2017 (without restarts).

    Args:
        highest: the rate of the first epochs after the warm-up.
        warmup_epochs: epochs in which the rate rises to it.
        lowest: the last epoch's rate, as a share of the highest.

    """

    def __init__(self, highest: float, warmup_epochs: int = 2, lowest: float = 0.01) -> None:
        super().__init__()
        self.highest = highest
        self.warmup_epochs = warmup_epochs
        self.lowest = lowest

    def rate_of(self, epoch: int, epochs: int) -> float:
        """Return the learning rate of an epoch (from 0) in a run of so many epochs."""
        if epoch < self.warmup_epochs:
            return self.highest * (epoch + 1) / (self.warmup_epochs + 1)
        done = (epoch - self.warmup_epochs) / max(1, epochs - 1 - self.warmup_epochs)
        share = 0.5 * (1.0 + math.cos(math.pi * min(1.0, done)))
        return self.highest * (self.lowest + (1.0 - self.lowest) * share)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Set the rate (called by Keras)."""
        del logs
        self.model.optimizer.learning_rate = self.rate_of(epoch, self.params["epochs"])


class SteppedLearnRateScheduler(keras.callbacks.Callback):  # type: ignore[misc]
    """A learning rate for so many training steps each; the training ends when they are used up.

    A step is a batch. How many are done is told by the optimizer, whose count goes on in a resumed training.
    Source: the schedule of kws_streaming (Rybakov et al., "Streaming keyword spotting on mobile devices", 2020), which
    counts its trainings in steps too (historical MLTK name).

    Args:
        schedule: (number of steps, learning rate) one after the other, such as [(100, 1e-3), (20000, 1e-4)].
        verbose: kept for old specifications, without effect.

    Raises:
        ModelError: the schedule is no list of such pairs.

    """

    def __init__(self, schedule: Sequence[tuple[int, float]], verbose: int = 0) -> None:
        super().__init__()
        del verbose
        self.schedule = [_checked_part(part) for part in schedule]
        if not self.schedule:
            raise ModelError(
                "SteppedLearnRateScheduler has no steps: give it [(number of steps, learning rate), ...]"
            )
        self.stopped_epoch = 0  # above 0: the training is done, and resuming it is nothing to do
        self._epoch = 0

    @property
    def total_steps(self) -> int:
        """Number of steps of the whole training."""
        return sum(steps for steps, _ in self.schedule)

    def rate_of(self, step: int) -> float:
        """Return the learning rate of a step (from 0); the last one beyond the end."""
        for steps, rate in self.schedule:
            if step < steps:
                return rate
            step -= steps
        return self.schedule[-1][1]

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Refuse an optimizer that has a schedule of its own (called by Keras)."""
        del logs
        schedule = getattr(self.model.optimizer, "_learning_rate", None)
        if isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
            raise ModelError(
                f"The optimizer has a {type(schedule).__name__} and train_callbacks a SteppedLearnRateScheduler: "
                "give the optimizer a plain learning_rate"
            )

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Know the epoch (called by Keras)."""
        del logs
        self._epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Set the rate of this step (called by Keras)."""
        del batch, logs
        self.model.optimizer.learning_rate = self.rate_of(self._steps_done())

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """End the training after the last step (called by Keras, which still validates)."""
        del batch, logs
        if self._steps_done() >= self.total_steps:
            self.model.stop_training = True
            self.stopped_epoch = self._epoch + 1

    def _steps_done(self) -> int:
        return int(self.model.optimizer.iterations)


def _checked_part(part: Any) -> tuple[int, float]:
    try:
        steps, rate = part
        checked = (int(steps), float(rate))
    except (TypeError, ValueError):
        checked = (0, 0.0)
    if checked[0] < 1 or not 0.0 < checked[1] < math.inf:
        raise ModelError(
            f"SteppedLearnRateScheduler can not use {part!r}: give (number of steps, learning rate), both above 0"
        )
    return checked
