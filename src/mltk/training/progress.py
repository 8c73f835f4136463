"""What a person sees while a model trains: a bar for the running epoch, a line for each finished one."""

import logging
import math
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mltk.training.checkpoints import BestWeights
from mltk.utils.errors import TrainingError
from mltk.utils.logging import get_mltk_logger
from mltk.utils.progress import stderr_console

REFRESH_S = 0.2


class TrainingProgress(keras.callbacks.Callback):  # type: ignore[misc]
    """Show epochs, steps, metrics, the best so far and the remaining time; stop when the loss is no number
    any more.
    """

    def __init__(self, epochs: int, steps: int, best: BestWeights, open_end: bool) -> None:
        """Set up.

        Args:
            epochs: the epoch to stop at.
            steps: batches an epoch.
            best: knows the best epoch; its on_epoch_end has to come before this one's.
            open_end: the number of epochs is not known: a callback stops the training.

        """
        super().__init__()
        self.epochs = epochs
        self._best_weights = best
        self.open_end = open_end
        self._started = self._shown = time.monotonic()
        self._first_epoch: int | None = None
        self._train_started = self._started
        console = stderr_console()
        self._bar = Progress(
            TextColumn("Epoch {task.fields[epoch]}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[metrics]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=steps or None, epoch="", metrics="")

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Draw the bar inside this block; what is logged meanwhile appears above it."""
        with self._bar, _log_above_bar():
            yield

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Begin a bar."""
        self._started = time.monotonic()
        if self._first_epoch is None:
            self._first_epoch, self._train_started = epoch, self._started
        self._bar.reset(self._task, epoch=self._number(epoch), metrics="")

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Move the bar, a few times a second."""
        _check_loss(logs, batch)
        now = time.monotonic()
        if now - self._shown >= REFRESH_S:
            self._shown = now
            self._bar.update(self._task, completed=batch + 1, metrics=_metrics_text(logs or {}))

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Write the epoch's line."""
        _check_loss(logs, None)
        now = time.monotonic()
        parts = [f"Epoch {self._number(epoch)}", _metrics_text(logs or {})]
        if self._best_weights.best is not None:
            is_best = self._best_weights.best_epoch == epoch
            parts.append(
                "best"
                if is_best
                else f"best {self._best_weights.best:.4f} in {self._best_weights.best_epoch + 1}"
            )
        parts.append(f"{now - self._started:.1f} s")
        left = self.epochs - epoch - 1
        if left and not self.open_end:
            mean = (now - self._train_started) / (epoch + 1 - (self._first_epoch or 0))
            parts.append(f"{_duration(left * mean)} left")
        get_mltk_logger().info("  ".join(parts))

    def _number(self, epoch: int) -> str:
        return f"{epoch + 1}" if self.open_end else f"{epoch + 1}/{self.epochs}"


def _metrics_text(logs: Mapping[str, Any]) -> str:
    return "  ".join(f"{name} {float(value):.4f}" for name, value in logs.items() if name != "learning_rate")


def _check_loss(logs: Mapping[str, Any] | None, batch: int | None) -> None:
    loss = (logs or {}).get("loss")
    if loss is not None and not math.isfinite(loss):
        where = "at the end of an epoch" if batch is None else f"after batch {batch + 1} of an epoch"
        raise TrainingError(
            f"The loss became {float(loss)} {where}: lower the learning rate, or look for damaged features "
            "in the data"
        )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


@contextmanager
def _log_above_bar() -> Iterator[None]:
    """Let the console's log lines go through the stream that the live display has put in place of standard
    error.
    """
    moved = []
    for handler in get_mltk_logger().handlers:
        if isinstance(handler, logging.StreamHandler) and getattr(handler, "mltk_console", False):
            moved.append((handler, handler.stream))
            handler.setStream(sys.stderr)
    try:
        yield
    finally:
        for handler, stream in moved:
            handler.setStream(stream)
