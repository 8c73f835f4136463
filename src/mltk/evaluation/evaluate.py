"""Score a trained model on labelled recordings.

The int8 model is scored without TensorFlow and without running the specification: its .tflite tells the
classes and the frontend's settings.
"""

import os
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mltk.evaluation.classifier import ClassifierResults, score_classifier
from mltk.evaluation.plots import write_plots
from mltk.evaluation.samples import Samples
from mltk.evaluation.stored import keras_model_of, stored_samples, validation_samples, without_keras_warnings
from mltk.models.archive import ModelArchive
from mltk.models.legacy_h5 import FLOAT_SUFFIXES
from mltk.models.loading import load_mltk_model, resolve_tflite
from mltk.models.model import MltkModel
from mltk.models.search import find_archive, find_model
from mltk.models.trained import TrainedModel
from mltk.tflite.convert_quiet import load_tensorflow
from mltk.tflite.engines import load_predictor
from mltk.tflite.model import TfliteModel
from mltk.utils.errors import ModelError, TrainingError
from mltk.utils.files import write_text
from mltk.utils.logging import get_mltk_logger

RESULTS_JSON = "eval-results.json"
SUMMARY_TXT = "summary.txt"


def evaluate_model(
    model: str | os.PathLike[str] | MltkModel,
    *,
    tflite: bool = False,
    weights: str | None = None,
    max_samples_per_class: int = -1,
    dataset: str | None = None,
    test: bool = False,
    show: bool = False,
    update_archive: bool = True,
    trust: bool = False,
    verbose: bool = False,
    engine: str = "litert",
) -> ClassifierResults:
    """Score a trained classifier.

    The results (eval-results.json, summary.txt, plots) go into the model's log folder, eval/h5 or
    eval/tflite, and into its archive.

    Args:
        model: name, archive, specification, .tflite, .h5 or .keras (with the .tflite of its name beside it),
            or loaded model. A specification that is named (by its path, or by a name that is found as
            NAME.py) is executed to score the float model; nothing out of an archive is.
        tflite: score the .tflite, not the float model.
        weights: float model: put these weights in first.
        max_samples_per_class: score that many samples of each class at most; -1: all.
        dataset: score all clips of this folder: a sub-folder with a class's name is that class, others are
            _unknown_. Without it, the clips that the training kept apart.
        test: the dry run's model.
        show: open the plots in the system's viewer.
        update_archive: put the results into the archive.
        trust: let the Python in an archive or a float model run: its specification, Lambda layers.
        verbose: for later.
        engine: what runs the .tflite: "litert", "tflm" or "native", see `mltk.tflite.engines`.

    Raises:
        TfliteError: the engine is not installed or can not run the model.
        ModelError: there is no such model, it is not trained, it needs Python that may not run, or
            there is nothing to score it on.
        DatasetError: the folder can not be used.
        TrainingError: an option makes no sense here.

    """
    if max_samples_per_class == 0 or max_samples_per_class < -1:
        raise TrainingError(
            f"--count is {max_samples_per_class}: give a number above 0, or -1 for all samples"
        )
    if engine != "litert" and not tflite:
        raise TrainingError(f"--engine {engine} is for the int8 model: add --tflite")
    if tflite and weights is not None:
        raise TrainingError(
            "--weights is for the float model: leave out --tflite, or quantize with these weights first"
        )
    if tflite:
        scored, results = _evaluate_tflite(model, max_samples_per_class, dataset, test, engine)
    else:
        scored, results = _evaluate_float(model, weights, max_samples_per_class, dataset, test, trust)
    store_results(scored, results, tflite, scored.archive_path if update_archive else None, show)
    return results


def score_samples(name: str, classes: Sequence[str], predict: Any, samples: Samples) -> ClassifierResults:
    """Score a model on samples.

    Args:
        name: the model's name.
        classes: names of the classes.
        predict: features [n, ...] -> posteriors [n, n_classes].
        samples: the samples.

    Raises:
        TrainingError: see `score_classifier`.

    """
    posteriors: NDArray[Any] = np.asarray(predict(samples.x))
    if posteriors.ndim == 2 and posteriors.shape[1] == 1 and len(classes) == 2:
        # One sigmoid output: the posterior of the second class.
        posteriors = np.concatenate([1.0 - posteriors, posteriors], axis=1)
    return score_classifier(name, classes, samples.class_ids, posteriors)


def predictor_of_keras(keras_model: Any) -> Any:
    """Return features [n, ...] -> posteriors [n, n_classes] of a Keras model."""

    def predict(x: NDArray[Any]) -> NDArray[Any]:
        with without_keras_warnings():
            posteriors: NDArray[Any] = keras_model.predict(x.astype(np.float32), batch_size=256, verbose=0)
        return posteriors

    return predict


def store_results(
    model: MltkModel, results: ClassifierResults, tflite: bool, archive: Path | None, show: bool = False
) -> list[Path]:
    """Write the results into the model's log folder, and into its archive where there is one; return the
    files.
    """
    member_folder = f"eval/{'tflite' if tflite else 'h5'}"
    folder = Path(model.create_log_dir(member_folder))
    files = [
        write_text(folder / RESULTS_JSON, results.to_json()),
        write_text(folder / SUMMARY_TXT, results.summary()),
        *write_plots(results, folder),
    ]
    if archive is not None and archive.is_file():
        ModelArchive(archive).update({f"{member_folder}/{file.name}": file.read_bytes() for file in files})
    get_mltk_logger().debug("Results are in %s", folder)
    for file in files if show else []:
        if file.suffix == ".png":
            webbrowser.open(file.resolve().as_uri())
    return files


def _evaluate_float(
    model: str | os.PathLike[str] | MltkModel,
    weights: str | None,
    per_class: int,
    dataset: str | None,
    test: bool,
    trust: bool,
) -> tuple[MltkModel, ClassifierResults]:
    kind = "loaded" if isinstance(model, MltkModel) else find_model(model, test).kind
    if kind == "tflite":
        raise TrainingError(f"{model} is a .tflite file: score it with --tflite")
    load_tensorflow()
    execute = kind == "specification" or (kind == "archive" and trust)
    loaded = load_mltk_model(model, test=test, execute_spec=execute)
    file = find_model(model).path if kind == "keras" and not isinstance(model, MltkModel) else None
    keras_model = keras_model_of(loaded, weights, file, trust or None)
    if isinstance(loaded, TrainedModel):
        if not loaded.classes:
            raise _no_classes_error(loaded)
        samples = _samples_without_specification(loaded, dataset, per_class)
    else:
        if per_class < 0:
            per_class = getattr(loaded, "eval_max_samples_per_class", None) or -1
        samples = validation_samples(loaded, dataset, per_class)
    return loaded, score_samples(loaded.name, loaded.classes, predictor_of_keras(keras_model), samples)


def _evaluate_tflite(
    model: str | os.PathLike[str] | MltkModel,
    per_class: int,
    dataset: str | None,
    test: bool,
    engine: str,
) -> tuple[MltkModel, ClassifierResults]:
    if isinstance(model, MltkModel):
        loaded = load_mltk_model(model, test)
        data, _ = resolve_tflite(loaded)
        samples = validation_samples(loaded, dataset, per_class)
    else:
        loaded, data = _read_tflite(model, test)
        samples = _samples_without_specification(loaded, dataset, per_class)
    tflite = TfliteModel(data)
    classes = list(tflite.parameters.get("classes") or loaded.classes)
    if not classes:
        raise _no_classes_error(loaded)
    return loaded, score_samples(loaded.name, classes, load_predictor(tflite, engine), samples)


def _read_tflite(model: str | os.PathLike[str], test: bool) -> tuple[TrainedModel, bytes]:
    """Read a model without running anything of it."""
    data, name = resolve_tflite(model, test)
    if Path(model).suffix in (".tflite", *FLOAT_SUFFIXES):
        return TrainedModel(name, data), data
    return TrainedModel.from_archive(find_archive(model, test)), data


def _samples_without_specification(model: TrainedModel, dataset: str | None, per_class: int) -> Samples:
    if dataset is None:
        samples = stored_samples(model)
        if samples is None:
            raise ModelError(
                f"The clips that {model.name} was validated with are not on this machine: name a folder with "
                "one sub-folder of clips per word to score it on (--dataset DIR)"
            )
        return samples.at_most(per_class)
    return validation_samples(model, dataset, per_class)


def _no_classes_error(model: MltkModel) -> ModelError:
    return ModelError(
        f"The .tflite of {model.name} does not name its classes: add them, "
        'mltk update_params MODEL \'classes=["yes", "no"]\''
    )
