"""`mltk speech_commands train`: steps in stages, checkpoints, validations, and a test at the end."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mltk.evaluation.classifier import ClassifierResults
from mltk.evaluation.evaluate import predictor_of_keras, score_samples
from mltk.evaluation.samples import Samples, collect
from mltk.models.shared.schedules import SteppedLearnRateScheduler
from mltk.tflite.convert_quiet import load_tensorflow
from mltk.training.backend import set_seed, turn_off_automatic_xla
from mltk.training.checkpoints import TrainingState
from mltk.training.fit import FitPlan, FitResult, fit
from mltk.training.history import TensorBoardScalars
from mltk.training.speech_commands.checkpoints import REPRESENTATIVE, Checkpoint, StepCheckpoints
from mltk.training.speech_commands.data import Parts, StepFeed, find_parts, fixed_feed, make_recipe
from mltk.training.speech_commands.model import build_model, make_specification
from mltk.training.speech_commands.settings import ModelSettings, TrainSettings
from mltk.utils.errors import TrainingError
from mltk.utils.files import make_folder, write_text
from mltk.utils.logging import get_mltk_logger

# As many samples as measure ranges well.
_MOST_REPRESENTATIVE = 500


@dataclass(frozen=True)
class TrainResults:
    """What a training gave.

    Attributes:
        checkpoint: its last checkpoint.
        step: how many steps it has.
        history: metric -> its value at each validation of this run.
        validation_accuracy: of the last validation of this run; None without one.
        test: the scores on the testing part; None where that has no clips.
        interrupted: Ctrl-C ended it.

    """

    checkpoint: Path
    step: int
    history: dict[str, list[float]]
    validation_accuracy: float | None
    test: ClassifierResults | None
    interrupted: bool


def train(settings: TrainSettings) -> TrainResults:
    """Train a net.

    Ctrl-C ends the training after its first validation; what is done then is done with the last checkpoint.

    Args:
        settings: everything that it is told.

    Raises:
        ModelError: there is no such architecture.
        DatasetError: the clips can not be used.
        TrainingError: the checkpoint to go on from does not fit, or the loss became no number.
        KeyboardInterrupt: Ctrl-C before the first validation.

    """
    load_tensorflow()
    logger = get_mltk_logger()
    model = settings.model
    start = Checkpoint.load(settings.start_checkpoint) if settings.start_checkpoint else None
    if start is not None:
        _check_start(start, settings)
    set_seed(settings.seed)
    keras_model = build_model(model, settings.optimizer)
    turn_off_automatic_xla(keras_model)
    parts = find_parts(model.classes, settings.data)
    logger.info("%s", parts.summary())
    folder = make_folder(settings.train_dir)
    write_text(folder / f"{model.model_architecture}_labels.txt", "\n".join(model.classes) + "\n")
    run = start.run if start is not None else secrets.token_hex(8)
    first_step = 0 if start is None else start.step
    logger.info("Training from step: %d", first_step + 1)
    saver = StepCheckpoints(folder, model, settings.optimizer, run, settings.save_step_interval)
    validation = _samples(parts, "validation", model)
    _keep_representative(folder, model, run, parts, validation)
    fitted = None
    if first_step < settings.total_steps:
        with _training_feed(settings, parts, first_step) as feed:
            fitted = _fit(settings, keras_model, feed, validation, saver, start)
    last = Checkpoint.load(str(saver.last)) if saver.last is not None else start
    if last is None:
        raise TrainingError("The training ended before its first checkpoint: lower --save_step_interval")
    last.put_into(keras_model)
    test = _test(keras_model, parts, model)
    history = fitted.history if fitted is not None else {}
    accuracy = history.get("val_accuracy", [None])[-1] if validation is not None else None
    return TrainResults(
        last.path, last.step, history, accuracy, test, fitted is not None and fitted.interrupted
    )


def _check_start(start: Checkpoint, settings: TrainSettings) -> None:
    if start.model != settings.model:
        raise TrainingError(
            f"{start.path} was trained with other flags ({told_flags(start.model)}): give the same ones"
        )
    if start.optimizer != settings.optimizer:
        raise TrainingError(f"{start.path} was trained with --optimizer={start.optimizer}: give the same one")


def told_flags(model: ModelSettings) -> str:
    """Return the flags that make a net, as a user writes them."""
    features = model.features
    return (
        f"--model_architecture={model.model_architecture} --wanted_words={','.join(model.wanted_words)} "
        f"--preprocess={features.preprocess} --quantize={int(features.quantize)} "
        f"--window_size_ms={features.window_size_ms:g} --window_stride={features.window_stride_ms:g} "
        f"--feature_bin_count={features.feature_bin_count} --sample_rate={features.sample_rate} "
        f"--clip_duration_ms={features.clip_duration_ms}"
    )


def _samples(parts: Parts, part: str, model: ModelSettings) -> Samples | None:
    if not parts.clips[part]:
        return None
    with fixed_feed(parts, parts.clips[part], model.features) as feed:
        return collect(feed)


def _keep_representative(
    folder: Path, model: ModelSettings, run: str, parts: Parts, validation: Samples | None
) -> None:
    """Leave samples beside the checkpoints, for `freeze` to measure the tensors' ranges on."""
    samples = validation
    if samples is None:
        with fixed_feed(parts, parts.clips["training"][:_MOST_REPRESENTATIVE], model.features) as feed:
            samples = collect(feed)
    kept = spread(samples)
    kept.save(folder / f"{model.model_architecture}_{REPRESENTATIVE}", run)


def spread(samples: Samples) -> Samples:
    """Return samples, few enough to measure ranges on."""
    step = max(1, -(-len(samples) // _MOST_REPRESENTATIVE))
    return Samples(samples.x[::step], samples.y[::step])


def _training_feed(settings: TrainSettings, parts: Parts, first_step: int) -> StepFeed:
    from mltk.datasets.feed_workers import worker_count

    interval = settings.eval_step_interval
    return StepFeed(
        make_recipe(parts, settings.model.features, settings.seed, settings),
        parts.clips["training"],
        batch_size=settings.batch_size,
        steps=interval,
        # Epochs are counted from the beginning of the training, and begin where it goes on.
        offset=first_step - first_step // interval * interval,
        n_workers=worker_count(settings.cores) if settings.cores else 0,
    )


def _fit(
    settings: TrainSettings,
    keras_model: Any,
    feed: StepFeed,
    validation: Samples | None,
    saver: StepCheckpoints,
    start: Checkpoint | None,
) -> FitResult:
    first_step = 0 if start is None else start.step
    interval = settings.eval_step_interval
    done = first_step // interval
    epochs = done - (first_step - settings.total_steps) // interval
    specification = make_specification(settings.model, settings.model.model_architecture)
    specification.steps_per_epoch = interval
    specification.checkpoint["monitor"] = "val_accuracy"
    report = StepReport(settings, 0 if validation is None else len(validation))
    specification.train_callbacks = [SteppedLearnRateScheduler(list(settings.schedule)), report, saver]
    resumed = None
    if start is not None:
        resumed = TrainingState(done - 1, {}, [], start.state.arrays, start.state.run)
    plan = FitPlan(Path(settings.train_dir), epochs, start.state.run if start else {}, resumed=resumed)
    return fit(specification, keras_model, feed, validation, plan)


class StepReport(TensorBoardScalars):
    """Tell each validation by its step, and write it where `tensorboard --logdir SUMMARIES_DIR` finds it."""

    def __init__(self, settings: TrainSettings, n_validation: int) -> None:
        super().__init__(Path(settings.summaries_dir or settings.train_dir))
        self._is_written = bool(settings.summaries_dir)
        self._n_validation = n_validation

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Report a validation."""
        logs = logs or {}
        step = int(self.model.optimizer.iterations)
        rate = float(self.model.optimizer.learning_rate)
        if "val_accuracy" in logs:
            get_mltk_logger().info(
                "Step %d: rate %g, validation accuracy = %.1f%% (N=%d)",
                step,
                rate,
                100 * float(logs["val_accuracy"]),
                self._n_validation,
            )
        if self._is_written:
            super().on_epoch_end(step, {**logs, "learning_rate": rate})


def _test(keras_model: Any, parts: Parts, model: ModelSettings) -> ClassifierResults | None:
    samples = _samples(parts, "testing", model)
    if samples is None:
        get_mltk_logger().warning("There are no clips to test on: --testing_percentage keeps none")
        return None
    return score_samples(model.model_architecture, model.classes, predictor_of_keras(keras_model), samples)
