"""Checkpoints ARCHITECTURE.ckpt-STEP.npz: a training after one of its steps, and what it was told.

They are the training's own states (`mltk.training.checkpoints`) with the settings inside: numbers and JSON, no code, so that one
of a stranger can be read.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from mltk.evaluation.samples import Samples
from mltk.training.checkpoints import TrainingState, assign_variables, variables_of
from mltk.training.speech_commands.settings import ModelSettings
from mltk.utils.errors import TrainingError
from mltk.utils.logging import get_mltk_logger

SUFFIX = ".npz"
REPRESENTATIVE = "representative.npz"
KEPT = 5
"""The newest checkpoints that are kept."""


@dataclass(frozen=True)
class Checkpoint:
    """A training after a step.

    Attributes:
        path: its file.
        step: number of steps that were done.
        model: the net.
        optimizer: name of the optimizer.
        run: the training's random identity.
        state: weights and the optimizer's variables.

    """

    path: Path
    step: int
    model: ModelSettings
    optimizer: str
    run: str
    state: TrainingState

    @classmethod
    def load(cls, name: str) -> "Checkpoint":
        """Read a checkpoint.

        Args:
            name: its path, with or without .npz: TRAIN_DIR/tiny_conv.ckpt-18000.

        Raises:
            TrainingError: there is none, or it is damaged.

        """
        path = checkpoint_path(name)
        state = TrainingState.load(path)
        try:
            run = state.run
            step = int(run["step"])
            model = ModelSettings.from_dict(run["model"])
            optimizer = str(run["optimizer"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise TrainingError(
                f"{path} is no checkpoint of 'mltk speech_commands train': name one, such as tiny_conv.ckpt-18000"
            ) from error
        return cls(path, step, model, optimizer, str(run.get("run", "")), state)

    def put_into(self, keras_model: Any) -> None:
        """Give a compiled model the checkpoint's weights, and its optimizer the state.

        Raises:
            TrainingError: the model is another one.

        """
        keras_model.optimizer.build(keras_model.trainable_variables)
        assign_variables(keras_model, self.state.arrays, self.path)

    def representative(self) -> Samples | None:
        """Return the samples to measure ranges on that the training left beside the checkpoint; None without."""
        return Samples.load(self.path.parent / f"{self.model.model_architecture}_{REPRESENTATIVE}", self.run)


def checkpoint_path(name: str) -> Path:
    """Return the file of a checkpoint that may be named without its suffix.

    Raises:
        TrainingError: there is none; the text names those that there are.

    """
    for path in (Path(name), Path(f"{name}{SUFFIX}")):
        if path.is_file():
            return path
    folder = Path(name).parent
    there = sorted(folder.glob(f"*.ckpt-*{SUFFIX}"), key=_step_of) if folder.is_dir() else []
    hint = (
        f"there is {there[-1].name.removesuffix(SUFFIX)}"
        if there
        else "train first: mltk speech_commands train"
    )
    raise TrainingError(f"There is no checkpoint at {name}: {hint}")


def _step_of(path: Path) -> int:
    match = re.search(r"\.ckpt-(\d{1,15})\.npz$", path.name)
    return int(match.group(1)) if match else -1


class StepCheckpoints(keras.callbacks.Callback):  # type: ignore[misc]
    """Write a checkpoint every so many steps and after the last one; keep the newest."""

    def __init__(self, folder: Path, model: ModelSettings, optimizer: str, run: str, interval: int) -> None:
        """Set up.

        Args:
            folder: where to.
            model: the net.
            optimizer: its name.
            run: the training's identity.
            interval: steps between two checkpoints.

        """
        super().__init__()
        self.folder = folder
        self.last: Path | None = None
        self._model_settings = model
        self._run = {"model": model.to_dict(), "optimizer": optimizer, "run": run}
        self._interval = interval
        self._written: list[Path] = []

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Write one if it is time."""
        step = int(self.model.optimizer.iterations)
        if step % self._interval == 0:
            self.write(step)

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Write the last one."""
        self.write(int(self.model.optimizer.iterations))

    def write(self, step: int) -> None:
        """Write a checkpoint, whole or not at all, and remove the oldest."""
        path = self.folder / f"{self._model_settings.model_architecture}.ckpt-{step}{SUFFIX}"
        if path == self.last:
            return
        arrays = {name: np.asarray(variable) for name, variable in variables_of(self.model).items()}
        TrainingState(0, {}, [], arrays, {**self._run, "step": step}).save(path)
        get_mltk_logger().debug('Saving to "%s"', path.with_suffix(""))
        self.last = path
        self._written.append(path)
        for old in self._written[:-KEPT]:
            old.unlink(missing_ok=True)
        del self._written[:-KEPT]
