"""`train_model`: data set -> fit -> int8 .tflite -> scores -> archive."""

import contextlib
import logging
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mltk.evaluation.classifier import ClassifierResults
from mltk.evaluation.evaluate import predictor_of_keras, score_samples, store_results
from mltk.evaluation.samples import Samples, collect
from mltk.evaluation.stored import DEFAULT_SEED, load_weights, validation_file, without_keras_warnings
from mltk.models.archive import ModelArchive
from mltk.models.loading import load_mltk_model
from mltk.models.model import MltkModel
from mltk.tflite.convert_quiet import load_tensorflow
from mltk.tflite.model import TfliteModel
from mltk.utils.errors import ModelError, TrainingError
from mltk.utils.files import is_writable_folder
from mltk.utils.logging import add_file_log, get_mltk_logger

TEST_EPOCHS = 3
LOG_FILE = "log.txt"


@dataclass
class TrainingResults:
    """What a training made; prints as a report.

    Attributes:
        name: the model's name.
        classes: names of the classes.
        history: metric -> its value after each epoch.
        params: epochs, steps, seed and run of the training.
        keras_model: the trained Keras model with the best weights.
        model_path: the archive NAME.mltk.zip.
        tflite_path: the .tflite in the model's log folder.
        monitor: the metric that told what is best.
        best: its best value.
        best_epoch: the epoch of the best weights, from 0.
        interrupted: the user stopped the training early (Ctrl-C).
        scores: 'float' and 'tflite' -> results of the evaluation.

    """

    name: str
    classes: list[str]
    history: dict[str, list[float]]
    params: dict[str, Any]
    keras_model: Any
    model_path: Path
    tflite_path: Path
    monitor: str
    best: float
    best_epoch: int
    interrupted: bool
    scores: dict[str, ClassifierResults] = field(default_factory=dict)

    @property
    def epochs(self) -> int:
        """Number of finished epochs."""
        return max((len(values) for values in self.history.values()), default=0)

    def __str__(self) -> str:
        ended = ", stopped by Ctrl-C" if self.interrupted else ""
        lines = [
            f"Trained {self.name}: {self.epochs} epochs{ended}",
            f"Best {self.monitor}: {self.best:.4f} in epoch {self.best_epoch + 1}",
        ]
        if self.scores:
            lines.append(score_table(self.classes, self.scores))
        lines += [f"Archive: {self.model_path}", f"Logs: {self.tflite_path.parent}"]
        return "\n".join(lines)


def score_table(classes: list[str], scores: dict[str, ClassifierResults]) -> str:
    """Return accuracies as a table: a row per class, a column per model."""
    titles = {"float": "float32", "tflite": "int8"}
    rows = [["accuracy", *(titles.get(name, name) for name in scores)]]
    rows.append(["all", *(f"{result.overall_accuracy:.1%}" for result in scores.values())])
    for index, name in enumerate(classes):
        rows.append([name, *(f"{result.class_accuracies[index]:.1%}" for result in scores.values())])
    width = max(len(row[0]) for row in rows)
    return "\n".join("  ".join([row[0].ljust(width), *(cell.rjust(8) for cell in row[1:])]) for row in rows)


def train_model(
    model: str | os.PathLike[str] | MltkModel,
    *,
    weights: str | None = None,
    epochs: int | None = None,
    resume: bool = False,
    clean: bool = False,
    test: bool = False,
    verbose: bool = False,
    seed: int | None = None,
    dataset: str | None = None,
    evaluate: bool = True,
    post: bool = False,
    show: bool = False,
) -> TrainingResults:
    """Train a model, convert it, score it, and put all of it into its archive.

    Ctrl-C ends the training early, and what follows is done with the best weights so far; a second one leaves
    at once.

    Args:
        model: name, specification, archive (its specification is executed) or loaded model.
        weights: start from these weights (.weights.h5, .keras, .h5).
        epochs: instead of the specification's; -1: until early stopping. On resume, as many as the training that is
            gone on with was asked for.
        resume: go on after the last finished epoch of a training that was stopped or killed.
        clean: remove the logs and checkpoints of earlier trainings first.
        test: a dry run: few samples, 3 epochs at most, files of its own.
        verbose: log the Keras model's summary too.
        seed: of the split, the augmentation, the initial weights and dropout; 42 without it. On resume, that
            of the training that is gone on with.
        dataset: folder with one sub-folder of clips per word, instead of the specification's.
        evaluate: score the float and the int8 model on the validation clips.
        post: call the specification's on_training_complete at the end.
        show: open the plots in the system's viewer.

    Raises:
        ModelError: there is no such model, or its settings can not be used.
        DatasetError: the data can not be used.
        TrainingError: the training can not go on, or there is nothing to resume.
        KeyboardInterrupt: Ctrl-C before the first epoch was done.

    """
    load_tensorflow()
    loaded = load_mltk_model(model, test=test, execute_spec=True)
    _check(loaded, resume, clean, weights, epochs)
    folder = Path(loaded.create_log_dir("train", delete_existing=clean))
    with _log_to(folder / LOG_FILE):
        run = _Run(loaded, folder=folder, resume=resume, seed=seed, dataset=dataset, epochs=epochs)
        results = run.train(weights, verbose)
        if evaluate:
            run.evaluate(results, show)
        if post and loaded.on_training_complete is not None:  # type: ignore[attr-defined]
            loaded.on_training_complete(results)  # type: ignore[attr-defined]
    ModelArchive(results.model_path).update({f"train/{LOG_FILE}": (folder / LOG_FILE).read_bytes()})
    return results


@contextlib.contextmanager
def _log_to(path: Path) -> Iterator[None]:
    """Write what is logged inside the block to a file too, also where the logger is quiet (as a library)."""
    logger = get_mltk_logger()
    level = logger.level
    handler = add_file_log(path)
    logger.setLevel(min(logger.getEffectiveLevel(), logging.INFO))
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        handler.close()


def _check(model: MltkModel, resume: bool, clean: bool, weights: str | None, epochs: int | None) -> None:
    for mixin, attribute in (("TrainMixin", "build_model_function"), ("AudioDatasetMixin", "load_dataset")):
        if not hasattr(type(model), attribute):
            raise ModelError(f"The model {model.name} can not be trained: add mltk.core.{mixin} to its bases")
    if not is_writable_folder(model.archive_path.parent):
        raise ModelError(
            f"The archive can not be written into {model.archive_path.parent}: train from another folder"
        )
    if resume and clean:
        raise TrainingError("--clean removes what --resume goes on from: give one of them")
    if resume and weights is not None:
        raise TrainingError("--resume goes on with the weights of the stopped training: leave out --weights")
    if epochs is not None and (epochs == 0 or epochs < -1):
        raise TrainingError(
            f"--epochs is {epochs}: give a number above 0, or -1 to train until early stopping"
        )


class _Run:
    """One training: the objects that its steps hand on."""

    def __init__(
        self,
        model: Any,
        *,
        folder: Path,
        resume: bool,
        seed: int | None,
        dataset: str | None,
        epochs: int | None,
    ) -> None:
        from mltk.training.checkpoints import TrainingState
        from mltk.training.fit import FitPlan

        self.model = model
        self.folder = folder
        plan = FitPlan(folder, -1, {})
        state = TrainingState.load(plan.state) if resume else None
        if state is None:
            plan.state.unlink(missing_ok=True)
            plan.best_weights.unlink(missing_ok=True)
        before = state.run if state else {}
        self.seed = _same_as_before("seed", before, seed, DEFAULT_SEED)
        self.dataset = _same_as_before(
            "dataset", before, None if dataset is None else str(Path(dataset).resolve()), None
        )
        # What --epochs said stays in force, unless it says something else now.
        asked = before.get("epochs_asked") if epochs is None else epochs
        self.run = {
            "run": before.get("run") or secrets.token_hex(8),
            "seed": self.seed,
            "dataset": self.dataset,
            "epochs_asked": asked,
        }
        self.plan = FitPlan(folder, _epochs(model, asked), self.run, resumed=state)
        self.validation: Samples | None = None
        self.converted: Any = None

    def train(self, weights: str | None, verbose: bool) -> TrainingResults:
        """Load the data, fit, convert, write the archive."""
        from mltk.training.backend import set_seed, turn_off_automatic_xla
        from mltk.training.fit import fit

        logger = get_mltk_logger()
        set_seed(self.seed)
        keras_model = _build(self.model)
        turn_off_automatic_xla(keras_model)
        if weights is not None:
            load_weights(keras_model, weights)
        summary = _summary(keras_model)
        (logger.info if verbose else logger.debug)("%s", summary)
        data = self.model.load_dataset("training", dataset_dir=self.dataset, seed=self.seed)
        try:
            logger.info("%s", self.model.summarize_dataset())
            if data.class_weights:
                logger.info("Class weights:\n%s", _weights_text(self.model.classes, data.class_weights))
            self.validation = None if data.validation is None else collect(data.validation)
            plan = self._plan_with(data.class_weights)
            fitted = fit(self.model, keras_model, data.training, self.validation, plan)
        finally:
            self.model.unload_dataset()
        params = {
            "verbose": int(verbose),
            "epochs": self.plan.epochs,
            "steps": fitted.steps,
            **{key: value for key, value in self.run.items() if key in ("run", "seed")},
        }
        results = TrainingResults(
            name=self.model.name,
            classes=list(self.model.classes),
            history=fitted.history,
            params=params,
            keras_model=keras_model,
            model_path=self.model.archive_path,
            tflite_path=self.model.log_dir / self.model.file_name(".tflite"),
            monitor=fitted.monitor,
            best=fitted.best,
            best_epoch=fitted.best_epoch,
            interrupted=fitted.interrupted,
        )
        self._write(results, summary)
        return results

    def evaluate(self, results: TrainingResults, show: bool) -> None:
        """Score the float and the int8 model on the validation samples."""
        if self.validation is None or not hasattr(type(self.model), "eval_max_samples_per_class"):
            get_mltk_logger().warning(
                "The model is not scored: it has no validation data, or no EvaluateClassifierMixin"
            )
            return
        samples = self.validation.at_most(self.model.eval_max_samples_per_class or -1)
        predictors = {
            "float": predictor_of_keras(results.keras_model),
            "tflite": TfliteModel(self.converted.tflite).predict_batch,
        }
        for kind, predict in predictors.items():
            scores = score_samples(results.name, results.classes, predict, samples)
            store_results(self.model, scores, kind == "tflite", results.model_path, show)
            results.scores[kind] = scores

    def _plan_with(self, class_weights: dict[int, float] | None) -> Any:
        from dataclasses import replace

        return replace(self.plan, class_weights=class_weights)

    def _write(self, results: TrainingResults, summary: str) -> None:
        """Write the float model, the .tflite, the history and, with all of them, a new archive."""
        from mltk.training.history import HISTORY_JSON, HISTORY_PNG, write_history
        from mltk.training.quantize import convert_samples, write_tflite

        logger = get_mltk_logger()
        model = self.model
        write_history(self.folder, model.name, results.history, results.params)
        keras_path = _save_keras(results.keras_model, model.log_dir / model.file_name(".keras"))
        if self.validation is not None:
            self.validation.save(validation_file(model), self.run["run"])
        logger.info("Converting to .tflite")
        self.converted = convert_samples(model, results.keras_model, self.validation)
        write_tflite(model, self.converted, results.tflite_path.parent)
        members = {
            f"{model.name}.py": model.specification_source(),
            keras_path.name: keras_path.read_bytes(),
            model.file_name(".h5.summary.txt"): f"{summary}\n\n{model}\n".encode(),
            **self.converted.members(model),
            **{
                f"train/{name}": (self.folder / name).read_bytes()
                for name in (HISTORY_JSON, HISTORY_PNG, LOG_FILE)
            },
        }
        ModelArchive.create(results.model_path, members)
        logger.info("Wrote %s", results.model_path)


def _epochs(model: Any, epochs: int | None) -> int:
    wanted = int(model.epochs if epochs is None else epochs)
    if model.test_mode_enabled:
        return TEST_EPOCHS if wanted < 0 else min(wanted, TEST_EPOCHS)
    return wanted


def _same_as_before(what: str, before: dict[str, Any], given: Any, default: Any) -> Any:
    """Return a setting that must not change when a training goes on."""
    if not before:
        return default if given is None else given
    if given is not None and given != before.get(what):
        raise TrainingError(
            f"The training that is resumed has {what} {before.get(what)}, not {given}: leave out --{what}, "
            "or start anew"
        )
    return before.get(what)


def _build(model: Any) -> Any:
    keras_model = model.build_model()
    if not getattr(keras_model, "compiled", False):
        raise ModelError(
            f"build_model_function of {model.name} did not compile the Keras model: call "
            "keras_model.compile(...) in it"
        )
    outputs = keras_model.output_shape[-1]
    if model.n_classes and outputs not in (model.n_classes, 1):
        raise ModelError(
            f"The Keras model of {model.name} has {outputs} outputs for its {model.n_classes} classes: make "
            "the last layer "
            "as wide as model.n_classes"
        )
    return keras_model


def _summary(keras_model: Any) -> str:
    lines: list[str] = []
    keras_model.summary(print_fn=lambda line, line_break=True: lines.append(line), line_length=80)
    return "\n".join(lines)


def _weights_text(classes: list[str], weights: dict[int, float]) -> str:
    width = max(len(name) for name in classes)
    return "\n".join(f"{classes[index]:>{width}} = {weight:.2f}" for index, weight in weights.items())


def _save_keras(keras_model: Any, path: Path) -> Path:
    """Write the float model, whole or not at all; without the optimizer's state."""
    unfinished = path.with_name(f".writing-{path.name}")
    try:
        with without_keras_warnings():
            keras_model.save(unfinished, include_optimizer=False)
        unfinished.replace(path)
    except OSError as error:
        raise TrainingError(f"Can not write the float model {path}: {error.strerror or error}") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return path
