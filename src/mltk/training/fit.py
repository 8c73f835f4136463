"""The Keras fit loop with this package's callbacks around it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from mltk.evaluation.samples import Samples
from mltk.evaluation.stored import load_weights, without_keras_warnings
from mltk.models.shared.schedules import SteppedLearnRateScheduler
from mltk.training.checkpoints import BestWeights, StateSaver, TrainingState
from mltk.training.data import TrainingStream, validation_dataset
from mltk.training.history import TensorBoardScalars
from mltk.training.progress import TrainingProgress
from mltk.utils.errors import MltkError, ModelError, TrainingError
from mltk.utils.logging import get_mltk_logger

# "Until a callback stops it": more epochs than anybody waits for.
OPEN_END_EPOCHS = 99999
BEST_WEIGHTS = "best.weights.h5"
STATE_FILE = "state.npz"
# Without gradients to keep, batches may be large.
VALIDATION_BATCH = 256


@dataclass(frozen=True)
class FitPlan:
    """How a model is to be trained.

    Attributes:
        folder: where checkpoints and logs go.
        epochs: number of epochs; -1: until early stopping.
        run: what the training was started with; kept in the state and in the history.
        class_weights: class index -> weight in the loss; None: all the same.
        resumed: go on from this state.

    """

    folder: Path
    epochs: int
    run: dict[str, Any]
    class_weights: dict[int, float] | None = None
    resumed: TrainingState | None = None

    @property
    def best_weights(self) -> Path:
        """The file with the best weights."""
        return self.folder / "weights" / BEST_WEIGHTS

    @property
    def state(self) -> Path:
        """The file with the training's state."""
        return self.folder / "checkpoint" / STATE_FILE


@dataclass(frozen=True)
class FitResult:
    """What a training gave; the Keras model holds the best weights.

    Attributes:
        history: metric -> its value after each epoch.
        steps: batches an epoch.
        monitor: the metric that told what is best.
        best: its best value.
        best_epoch: the epoch of the best weights, from 0.
        interrupted: the user stopped it (Ctrl-C).

    """

    history: dict[str, list[float]]
    steps: int
    monitor: str
    best: float
    best_epoch: int
    interrupted: bool


def fit(model: Any, keras_model: Any, training: Any, validation: Samples | None, plan: FitPlan) -> FitResult:
    """Train a Keras model and load its best weights.

    Ctrl-C ends the training after at least one epoch as early stopping would; before that it is passed on.

    Args:
        model: the specification (a TrainMixin) with the callbacks' settings.
        keras_model: a compiled Keras model.
        training: batches (x, y), iterable once an epoch.
        validation: samples to measure with; None: the metrics of the training data tell what is best.
        plan: see `FitPlan`.

    Raises:
        ModelError: a callback's settings can not be used.
        TrainingError: the loss is no number any more, or Keras refuses the data.
        MltkError: what the data set raised.

    """
    first_epoch = plan.resumed.epoch + 1 if plan.resumed else 0
    stream = TrainingStream(training, first_epoch, model.steps_per_epoch)
    best = BestWeights(
        plan.best_weights, _monitor(model, validation), str(model.checkpoint.get("mode", "auto"))
    )
    open_end = plan.epochs < 0
    epochs = OPEN_END_EPOCHS if open_end else plan.epochs
    progress = TrainingProgress(epochs, stream.steps, best, open_end)
    others = [best, progress, *_callbacks(model, plan, validation)]
    saver = StateSaver(plan.state, others, plan.run, plan.resumed)
    _restore_best(best, plan)
    interrupted = False
    if first_epoch < epochs and not _was_done(plan):
        arguments = {
            "epochs": epochs,
            "initial_epoch": first_epoch,
            "steps_per_epoch": stream.steps,
            "callbacks": [*others, saver],
            "class_weight": plan.class_weights,
        }
        with progress.shown():
            told = {**_extra_arguments(model), **_validation_arguments(model, validation)}
            interrupted = _run(keras_model, stream, {**arguments, **told})
    history = saver.history or (plan.resumed.history if plan.resumed else {})
    if best.best is None or not plan.best_weights.is_file():
        if interrupted:
            raise KeyboardInterrupt
        raise TrainingError(
            "The training ended before its first epoch was done, so there is no model to keep"
        )
    if interrupted:
        get_mltk_logger().warning(
            "Stopped by Ctrl-C: keeping the best weights so far, those of epoch %d. "
            "Press it again to leave at once; go on training later with --resume.",
            best.best_epoch + 1,
        )
    load_weights(keras_model, str(plan.best_weights))
    return FitResult(history, stream.steps, best.monitor, best.best, best.best_epoch, interrupted)


def _monitor(model: Any, validation: Samples | None) -> str:
    monitor = str(model.checkpoint.get("monitor", "val_accuracy"))
    if validation is None and monitor.startswith("val_"):
        get_mltk_logger().warning("No validation data: the best epoch is told by the training data")
        return monitor.removeprefix("val_")
    return monitor


def _validation_arguments(model: Any, samples: Samples | None) -> dict[str, Any]:
    """Return what Keras is told of the validation; `train_kwargs` may say how many samples and batches."""
    if samples is None:
        return {}
    batch_size = int(model.train_kwargs.get("validation_batch_size") or VALIDATION_BATCH)
    dataset, steps = validation_dataset(samples, batch_size, model.train_kwargs.get("validation_steps"))
    return {"validation_data": dataset, "validation_steps": steps}


def _extra_arguments(model: Any) -> dict[str, Any]:
    """Return the specification's `train_kwargs`; what this module sets itself can not be set there."""
    mine = {"epochs", "initial_epoch", "validation_data", "callbacks", "verbose", "x", "y"}
    taken = sorted(mine.intersection(model.train_kwargs))
    if taken:
        raise ModelError(
            f"train_kwargs can not hold {', '.join(taken)}: mltk sets that for keras_model.fit itself"
        )
    return dict(model.train_kwargs)


def _callbacks(model: Any, plan: FitPlan, validation: Samples | None) -> list[Any]:
    """Return the callbacks that the specification asks for."""
    callbacks: list[Any] = []
    if any(isinstance(callback, TensorBoardScalars) for callback in model.train_callbacks):
        pass  # the specification writes its own scalars, elsewhere or by another count
    elif model.tensorboard is None:
        callbacks.append(TensorBoardScalars(plan.folder / "tensorboard"))
    else:
        settings = {"log_dir": str(plan.folder / "tensorboard"), **model.tensorboard}
        callbacks.append(_make("tensorboard", keras.callbacks.TensorBoard, settings))
    if model.reduce_lr_on_plateau is not None:
        callbacks.append(
            _monitoring("reduce_lr_on_plateau", keras.callbacks.ReduceLROnPlateau, model, validation)
        )
    if model.early_stopping is not None:
        callbacks.append(_monitoring("early_stopping", keras.callbacks.EarlyStopping, model, validation))
    elif plan.epochs < 0 and not any(map(_ends_training, model.train_callbacks)):
        get_mltk_logger().warning(
            "epochs is -1 and early_stopping is not set: the training goes on until Ctrl-C"
        )
    return callbacks + list(model.train_callbacks)


def _ends_training(callback: Any) -> bool:
    return isinstance(callback, keras.callbacks.EarlyStopping | SteppedLearnRateScheduler)


def _monitoring(attribute: str, callback: Any, model: Any, validation: Samples | None) -> Any:
    settings = dict(getattr(model, attribute))
    monitor = settings.get("monitor", "val_loss")
    settings["monitor"] = monitor.removeprefix("val_") if validation is None else monitor
    return _make(attribute, callback, settings)


def _make(attribute: str, callback: Any, settings: Mapping[str, Any]) -> Any:
    try:
        return callback(**settings)
    except (TypeError, ValueError, ImportError) as error:
        raise ModelError(f"{attribute} = {dict(settings)} can not be used: {error}") from error


def _restore_best(best: BestWeights, plan: FitPlan) -> None:
    """On resume, know the best epoch before Keras calls: the training may already have been at its end."""
    for values in plan.resumed.counters if plan.resumed else []:
        if values.get("callback") == type(best).__name__ and values.get("best") is not None:
            best.best, best.best_epoch = values["best"], int(values["best_epoch"])


def _was_done(plan: FitPlan) -> bool:
    """Tell whether early stopping had ended the training that is resumed."""
    return any(
        (values.get("stopped_epoch") or 0) > 0 for values in (plan.resumed.counters if plan.resumed else [])
    )


def _run(keras_model: Any, stream: TrainingStream, arguments: dict[str, Any]) -> bool:
    """Fit; return whether Ctrl-C ended it."""
    try:
        with without_keras_warnings():
            # Else Keras makes its variables while it traces the step, and traces it a second time.
            keras_model.optimizer.build(keras_model.trainable_variables)
            keras_model.fit(stream.dataset(), verbose=0, shuffle=False, **arguments)
    except KeyboardInterrupt:
        return True
    except MltkError:
        raise
    except (tf.errors.OpError, ValueError, TypeError, RuntimeError) as error:
        _raise_cause(error, stream)
    return False


def _raise_cause(error: Exception, stream: TrainingStream) -> None:
    """Raise the data set's own error where TensorFlow wrapped one, else what Keras says, in a sentence."""
    cause = stream.failure
    if isinstance(cause, MltkError | KeyboardInterrupt):
        raise cause from error
    told = cause or error
    reason = (str(told).strip().splitlines() or [""])[0]
    raise TrainingError(f"The training failed: {type(told).__name__}: {reason}") from error
