"""What a training measured, epoch by epoch: a JSON file, a picture, and scalars for TensorBoard."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from mltk.utils.files import replacing, write_text

HISTORY_JSON = "training-history.json"
HISTORY_PNG = "training-history.png"


def write_history(
    folder: Path, name: str, history: Mapping[str, list[float]], params: Mapping[str, Any]
) -> None:
    """Write training-history.json and training-history.png.

    Args:
        folder: where to.
        name: the model's name.
        history: metric -> its value after each epoch.
        params: what the training was run with.

    """
    n_epochs = max((len(values) for values in history.values()), default=0)
    # The learning rate was called 'lr' in the files of older Keras versions; readers know that name.
    named = {
        "lr" if metric == "learning_rate" else metric: list(values) for metric, values in history.items()
    }
    content = {"epochs": list(range(n_epochs)), "params": dict(params), "history": named}
    write_text(folder / HISTORY_JSON, json.dumps(content, indent=2))
    with replacing(folder / HISTORY_PNG) as temporary:
        _figure(name, named).savefig(temporary, format="png", dpi=100)


def _figure(name: str, history: Mapping[str, list[float]]) -> Any:
    """Draw each metric with its validation twin below one another."""
    from matplotlib.figure import Figure

    metrics = [metric for metric in history if not metric.startswith("val_") and metric != "lr"] or ["loss"]
    figure = Figure(figsize=(7.0, 1.0 + 3.0 * len(metrics)), layout="constrained")
    figure.suptitle(f"{name}: training history")
    for axes, metric in zip(figure.subplots(len(metrics), squeeze=False)[:, 0], metrics, strict=True):
        for key, label in ((metric, "training"), (f"val_{metric}", "validation")):
            if key in history:
                axes.plot(
                    range(1, len(history[key]) + 1), history[key], label=label, marker=".", markersize=3
                )
        axes.set_ylabel(metric)
        axes.set_xlabel("Epoch")
        axes.grid(True, alpha=0.4)
        if axes.lines:
            axes.legend(loc="best")
    return figure


class TensorBoardScalars(keras.callbacks.Callback):  # type: ignore[misc]
    """Write every metric of every epoch where `tensorboard --logdir` finds it.

    Done without the package tensorboard, which TensorFlow 2.21 does not bring and which Keras' own callback
    needs.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self._writers: dict[str, Any] = {}

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Write the epoch's scalars: 'val_loss' is the tag epoch_loss of the run 'validation', as Keras names
        them.
        """
        import tensorflow as tf

        for metric, value in (logs or {}).items():
            run = "validation" if metric.startswith("val_") else "train"
            if run not in self._writers:
                self._writers[run] = tf.summary.create_file_writer(str(self.folder / run))
            with self._writers[run].as_default():
                tag = f"epoch_{metric.removeprefix('val_')}"
                tf.summary.write(tag, tf.constant(value, tf.float32), step=epoch, metadata=_scalar_metadata())
        for writer in self._writers.values():
            writer.flush()

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Close the files."""
        for writer in self._writers.values():
            writer.close()


def _scalar_metadata() -> Any:
    """Mark a value as one of TensorBoard's plugin 'scalars'."""
    import tensorflow as tf

    metadata = tf.compat.v1.SummaryMetadata()
    metadata.plugin_data.plugin_name = "scalars"
    return metadata
