"""Runs a keyword model window after window and gives its scores as the recognizer takes them."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mltk.models.loading import resolve_tflite
from mltk.models.model import MltkModel
from mltk.tflite.engines import load_runner
from mltk.tflite.model import TfliteModel
from mltk.utils.errors import DetectionError
from mltk.utils.text import printable

ModelSource = TfliteModel | MltkModel | bytes | str | os.PathLike[str]

_INPUT_TYPES = (np.int8, np.uint16, np.float32)
_OUTPUT_TYPES = (np.int8, np.uint8, np.float32)


class Engine:
    """A classifier with one input and one output, ready to run.

    Args:
        model: a `TfliteModel`, a trained `MltkModel`, a .tflite's bytes, or a path or name as for the command
            line.
        engine: "litert", "tflm" or "native", see `mltk.tflite.engines`.

    Raises:
        DetectionError: not one input and one output of types that a detector knows.
        TfliteError: the engine is unknown or can not run the model.
        MltkError: the model can not be found or read.

    """

    def __init__(self, model: ModelSource, engine: str = "litert") -> None:
        tflite, self.name = _load(model)
        if len(tflite.inputs) != 1 or len(tflite.outputs) != 1:
            raise DetectionError(
                f"{self.name} has {len(tflite.inputs)} inputs and {len(tflite.outputs)} outputs: "
                "a detector runs models with one of each"
            )
        self.parameters = tflite.parameters
        given, result = tflite.inputs[0], tflite.outputs[0]
        self.input_dtype: np.dtype[Any] = np.dtype(given.dtype)
        self.input_size = int(np.prod(given.shape))
        self.n_classes = int(np.prod(result.shape))
        _check_type(self.name, "input", given.dtype, _INPUT_TYPES)
        _check_type(self.name, "output", result.dtype, _OUTPUT_TYPES)
        # A window's axes may be <frames, 1, channels> or <frames, channels, 1>: the values are the same.
        self._sample_shape = given.shape[1:] if given.shape[:1] == (1,) else given.shape
        self._run = load_runner(tflite, engine)

    def scores(self, windows: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        """Run the model on windows.

        Args:
            windows: `input_dtype` [n, frames, channels], contiguous.

        Returns:
            uint8 [n, classes]: int8 outputs + 128, float outputs * 255 truncated, uint8 outputs as they are.

        """
        outputs = self._run(windows.reshape(len(windows), *self._sample_shape))
        return to_scores(outputs.reshape(len(windows), self.n_classes))


def to_scores(output: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Turn a model's output into scores from 0 to 255 (reference page detection.md).

    Args:
        output: int8, uint8 or float32 of any shape; floats beyond 0 to 1 are clipped, NaN counts as 0.

    """
    if output.dtype == np.int8:
        # Adding 128 to a two's complement byte flips its top bit.
        return output.view(np.uint8) ^ np.uint8(128)
    if output.dtype == np.uint8:
        return output
    return np.asarray(np.clip(np.nan_to_num(output), 0.0, 1.0) * np.float32(255), dtype=np.uint8)


def _load(model: ModelSource) -> tuple[TfliteModel, str]:
    if isinstance(model, TfliteModel | bytes):
        tflite = TfliteModel(model) if isinstance(model, bytes) else model
        stem = Path(tflite.path).stem if tflite.path else "The model"
        return tflite, printable(str(tflite.parameters.get("name") or stem))
    data, name = resolve_tflite(model)
    return TfliteModel(data, name if isinstance(model, MltkModel) else model), name


def _check_type(name: str, which: str, dtype: npt.DTypeLike, known: tuple[type[np.generic], ...]) -> None:
    if np.dtype(dtype) not in [np.dtype(kind) for kind in known]:
        kinds = ", ".join(kind.__name__ for kind in known)
        raise DetectionError(f"{name} has an {which} of {np.dtype(dtype)}: a detector knows {kinds}")
