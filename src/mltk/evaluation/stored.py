"""What a training left behind for later: the float model and the samples that it was measured on.

A training has a random identity, its run. The archive's history names it and so does the file with the
validation samples in the user's folder, so that a model is never scored on the validation samples of another
training: clips that one run validated with may have trained the other.
"""

import json
from pathlib import Path
from typing import Any

from mltk.evaluation.folder import samples_of_folder
from mltk.evaluation.samples import Samples, collect
from mltk.models.archive import ModelArchive
from mltk.models.float_model import load_float_model, without_keras_warnings
from mltk.models.legacy_h5 import UntrustedCodeError
from mltk.models.mixins.audio_dataset import AudioDatasetMixin
from mltk.models.model import MltkModel
from mltk.models.trained import TrainedModel
from mltk.utils.errors import ArchiveError, MltkError, ModelError
from mltk.utils.logging import get_mltk_logger

__all__ = [
    "DEFAULT_SEED",
    "HISTORY_MEMBER",
    "VALIDATION_FILE",
    "keras_model_of",
    "load_weights",
    "stored_samples",
    "training_run",
    "validation_file",
    "validation_samples",
    "without_keras_warnings",
]

HISTORY_MEMBER = "train/training-history.json"
VALIDATION_FILE = "validation.npz"
DEFAULT_SEED = 42


def training_run(archive: Path) -> dict[str, Any]:
    """Return what the archive tells of its training (epochs, seed, run ...); empty where it tells nothing."""
    try:
        history = json.loads(ModelArchive(archive).read(HISTORY_MEMBER))
        params = history["params"]
    except (ArchiveError, ValueError, KeyError, TypeError):
        return {}
    return params if isinstance(params, dict) else {}


def validation_file(model: MltkModel) -> Path:
    """Return where a model's validation samples are kept."""
    return model.log_dir / "train" / VALIDATION_FILE


def stored_samples(model: MltkModel) -> Samples | None:
    """Return the validation samples of the training that made the model's archive, if they are on this
    machine.
    """
    run = training_run(model.archive_path) if model.archive_path.is_file() else {}
    return Samples.load(validation_file(model), str(run.get("run", "")))


def validation_samples(model: MltkModel, dataset: str | None = None, per_class: int = -1) -> Samples:
    """Return samples to score a model on.

    Args:
        model: the loaded model.
        dataset: a folder of which all clips are taken; without it, those that the training kept apart.
        per_class: that many of each class at most; -1: all.

    Raises:
        DatasetError: the folder can not be used.
        ModelError: there is no folder, and the training's samples are not on this machine.

    """
    if dataset is None:
        samples = stored_samples(model)
        if samples is not None:
            get_mltk_logger().debug(
                "Scoring the clips that the training kept apart (%s)", validation_file(model)
            )
            return samples.at_most(per_class)
    elif isinstance(model, AudioDatasetMixin) and not _loads_itself(model):
        return samples_of_folder(model, dataset, per_class)
    load_dataset = getattr(model, "load_dataset", None)
    if load_dataset is None:
        raise ModelError(
            f"The model {model.name} has no data set: add mltk.core.AudioDatasetMixin to its bases"
        )
    run = training_run(model.archive_path) if model.archive_path.is_file() else {}
    seed = run.get("seed")
    loaded = load_dataset(
        "evaluation",
        test=model.test_mode_enabled,
        dataset_dir=dataset,
        seed=seed if isinstance(seed, int) else DEFAULT_SEED,
        max_samples_per_class=per_class if per_class > 0 else None,
    )
    try:
        if loaded.validation is None:
            raise ModelError(
                f"The data set of {model.name} has no validation data: name a folder with --dataset DIR"
            )
        return collect(loaded.validation).at_most(per_class)
    finally:
        model.unload_dataset()  # type: ignore[attr-defined]


def _loads_itself(model: AudioDatasetMixin) -> bool:
    """Tell whether the model's data set turns recordings into features by its own code."""
    return callable(getattr(model.dataset, "load_dataset", None))


def keras_model_of(
    model: MltkModel, weights: str | None = None, path: Path | None = None, trusted: bool | None = None
) -> Any:
    """Load the float model out of a model's archive. Call `load_tensorflow` before.

    Args:
        model: the loaded model.
        weights: put these weights in (.weights.h5, .keras, .h5).
        path: load this file (.keras, .h5) instead of the archive's.
        trusted: Python code in the file (Lambda layers) may run; None: it may where the specification was executed.

    Raises:
        ModelError: the model is not trained, Keras can not load it, or it needs code that may not run.

    """
    if trusted is None:
        trusted = not isinstance(model, TrainedModel)
    file = Path(model.keras_archive_path) if path is None else path
    try:
        keras_model = load_float_model(file, model.keras_custom_objects, trusted)
    except UntrustedCodeError as error:
        raise UntrustedCodeError(
            f"{error}: if you trust who made it, let its Python run with --trust"
        ) from error
    if weights is not None:
        load_weights(keras_model, weights)
    return keras_model


def load_weights(keras_model: Any, weights: str) -> None:
    """Load weights from a file into a Keras model.

    Raises:
        MltkError: there is no such file, or it does not fit the model.

    """
    path = Path(weights)
    if not path.is_file():
        raise MltkError(f"There are no weights at {path}: check the path")
    try:
        with without_keras_warnings():
            keras_model.load_weights(path)
    except (OSError, ValueError, KeyError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(f"The weights {path} do not fit the model {keras_model.name}: {reason}") from error
