"""The best weights so far, and the state that a killed training goes on from."""

import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mltk.utils.errors import ModelError, TrainingError
from mltk.utils.files import make_folder, replacing
from mltk.utils.text import suggestion

STATE_VERSION = 1
# What Keras' monitoring callbacks count from epoch to epoch.
COUNTERS = ("best", "wait", "cooldown_counter", "best_epoch", "stopped_epoch")


class BestWeights(keras.callbacks.Callback):  # type: ignore[misc]
    """Write the weights to a file after each epoch that is the best so far.

    Keras' own ModelCheckpoint writes in place: killed in the middle, it leaves neither the old weights nor
    the new ones.
    """

    def __init__(self, path: Path, monitor: str, mode: str = "auto") -> None:
        """Set up.

        Args:
            path: the file, NAME.weights.h5.
            monitor: the metric that tells what is best, such as 'val_accuracy'.
            mode: 'max', 'min', or 'auto': a loss or an error is to be small, all else large.

        """
        super().__init__()
        self.path = path
        self.monitor = monitor
        self.larger_is_better = mode == "max" or (mode == "auto" and not _is_loss(monitor))
        self.best: float | None = None
        self.best_epoch = -1

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Compare and write."""
        value = _monitored(self.monitor, logs or {})
        if self.best is not None and not (value > self.best if self.larger_is_better else value < self.best):
            return
        make_folder(self.path.parent)
        # Keras insists on the suffix, so the temporary file has a name of its own.
        unfinished = self.path.with_name(f".writing-{self.path.name}")
        try:
            self.model.save_weights(unfinished)
            unfinished.replace(self.path)
        except (OSError, RuntimeError) as error:  # HDF5 tells a full disk as a RuntimeError
            reason = getattr(error, "strerror", None) or "the disk is full, or HDF5 refuses"
            raise TrainingError(f"Can not write the best weights to {self.path}: {reason}") from error
        finally:
            unfinished.unlink(missing_ok=True)
        self.best, self.best_epoch = value, epoch


def _is_loss(monitor: str) -> bool:
    return any(word in monitor for word in ("loss", "error", "mse", "mae"))


def _monitored(monitor: str, logs: Mapping[str, Any]) -> float:
    if monitor not in logs:
        raise ModelError(
            f"checkpoint['monitor'] is {monitor!r}{suggestion(monitor, logs)}; this training measures "
            f"{', '.join(logs)}"
        )
    return float(logs[monitor])


@dataclass(frozen=True)
class TrainingState:
    """A training after one of its epochs.

    Attributes:
        epoch: the last finished epoch, from 0.
        history: metric -> its value after each epoch.
        counters: per callback, its class and counters.
        arrays: variables of the model ("model/i") and of the optimizer ("optimizer/i").
        run: what the training was started with: seed, data set, epochs.

    """

    epoch: int
    history: dict[str, list[float]]
    counters: list[dict[str, Any]]
    arrays: dict[str, NDArray[Any]]
    run: dict[str, Any]

    def save(self, path: Path) -> None:
        """Write the state, whole or not at all."""
        meta = {
            "state_version": STATE_VERSION,
            "epoch": self.epoch,
            "history": self.history,
            "counters": self.counters,
            "run": self.run,
        }
        text = np.frombuffer(json.dumps(meta).encode(), np.uint8)
        with replacing(path) as temporary, temporary.open("wb") as file:
            members: dict[str, Any] = {"meta": text, **self.arrays}
            np.savez(file, **members)
            file.flush()
            os.fsync(file.fileno())

    @classmethod
    def load(cls, path: Path) -> "TrainingState":
        """Read a state.

        Raises:
            TrainingError: there is none, or it is damaged or of another version.

        """
        if not path.is_file():
            raise TrainingError(f"There is no training to resume: {path} is missing; train without --resume")
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
            meta = json.loads(arrays.pop("meta").tobytes())
            if meta["state_version"] != STATE_VERSION:
                raise ValueError(f"its version is {meta['state_version']}, not {STATE_VERSION}")
            return cls(int(meta["epoch"]), meta["history"], meta["counters"], arrays, meta["run"])
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise TrainingError(
                f"The training state {path} is damaged ({error}): start anew, without --resume"
            ) from error


class StateSaver(keras.callbacks.Callback):  # type: ignore[misc]
    """Write the training's state after each epoch, and take it up again. The last of the callbacks."""

    def __init__(
        self,
        path: Path,
        others: list[Any],
        run: dict[str, Any],
        resumed: TrainingState | None = None,
    ) -> None:
        """Set up.

        Args:
            path: the state's file, .npz.
            others: all other callbacks, in their order.
            run: what the training was started with, to keep in the state.
            resumed: go on from this state.

        """
        super().__init__()
        self.path = path
        self.others = others
        self.run = run
        self.resumed = resumed
        self.history: dict[str, list[float]] = {}

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Bring everything back to the state; after the other callbacks have reset themselves."""
        if self.resumed is None:
            return
        self.history = {name: list(values) for name, values in self.resumed.history.items()}
        self.model.optimizer.build(self.model.trainable_variables)
        assign_variables(self.model, self.resumed.arrays, self.path)
        _restore_counters(self.others, self.resumed.counters)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Write the state."""
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(float(value))
        arrays = {name: np.asarray(variable) for name, variable in variables_of(self.model).items()}
        counters = [_counters(callback) for callback in self.others]
        TrainingState(epoch, self.history, counters, arrays, self.run).save(self.path)


def variables_of(keras_model: Any) -> dict[str, Any]:
    """Return all variables that training changes; those of the model include the random state of its dropout
    layers.
    """
    named = {f"model/{index}": variable for index, variable in enumerate(_model_variables(keras_model))}
    named.update({f"optimizer/{i}": variable for i, variable in enumerate(keras_model.optimizer.variables)})
    return named


def _model_variables(keras_model: Any) -> list[Any]:
    of_metrics = {id(variable) for metric in keras_model.metrics for variable in metric.variables}
    return [variable for variable in keras_model.variables if id(variable) not in of_metrics]


def assign_variables(keras_model: Any, arrays: dict[str, NDArray[Any]], path: Path) -> None:
    """Bring a model and its optimizer, which is built, to a state; `path` is what an error names.

    Raises:
        TrainingError: the state is of another model.

    """
    variables = variables_of(keras_model)
    fits = variables.keys() == arrays.keys() and all(
        tuple(variables[name].shape) == arrays[name].shape for name in variables
    )
    if not fits:
        raise TrainingError(
            f"The training state {path} is of another model: its layers or its optimizer were changed; "
            "start anew, without --resume"
        )
    for name, variable in variables.items():
        variable.assign(arrays[name])


def _counters(callback: Any) -> dict[str, Any]:
    values = {name: getattr(callback, name) for name in COUNTERS if hasattr(callback, name)}
    kept = {name: None if value is None else float(value) for name, value in values.items()}
    return {"callback": type(callback).__name__, **kept}


def _restore_counters(callbacks: list[Any], saved: list[dict[str, Any]]) -> None:
    for callback, values in zip(callbacks, saved, strict=False):
        if values.get("callback") != type(callback).__name__:
            continue  # the user changed the callbacks: those begin anew
        for name in COUNTERS:
            if name in values and hasattr(callback, name):
                value = values[name]
                whole = name != "best" and value is not None
                setattr(callback, name, int(value) if whole else value)
