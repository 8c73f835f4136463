"""Learning rates that the package's own specifications use."""

import math
from typing import Any

import keras


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
