"""Settings of the training and of the conversion to .tflite."""

from collections.abc import Callable
from typing import Any

from mltk.models.attributes import KnownKeys
from mltk.models.base import ModelBase
from mltk.models.checks import CHECKPOINT_KEYS, CHECKPOINT_VALUES
from mltk.tflite import convert_options
from mltk.utils.errors import ModelError


class TrainMixin(ModelBase):
    """Training with Keras.

    Attributes:
        epochs: how often the training data is gone through; -1: until a callback stops the training.
        steps_per_epoch: batches an epoch; None: all.
        optimizer, metrics, loss: for `keras_model.compile` in your build function.
        build_model_function: takes the model specification, returns a compiled Keras model.
        checkpoint: 'monitor' tells what is best, 'mode' whether it is to be large or small; other arguments of
            `keras.callbacks.ModelCheckpoint` may be set to what a training does anyway.
        reduce_lr_on_plateau, early_stopping, tensorboard: arguments of these Keras callbacks; None: without.
        train_callbacks: further Keras callbacks.
        train_kwargs: further arguments of `keras_model.fit`.
        tflite_converter: optimizations, supported_ops, inference_input_type, inference_output_type, each as
            strings or as TensorFlow's and numpy's objects; representative_dataset = 'generate': ranges
            measured on validation data.
        on_training_complete: called with the results when a training is done (`mltk train --post`).

    """

    epochs: int = 100
    steps_per_epoch: int | None = None
    optimizer: Any = "adam"
    metrics: Any
    loss: Any = "categorical_crossentropy"
    build_model_function: Callable[[Any], Any] | None = None
    checkpoint: dict[str, Any]
    reduce_lr_on_plateau: dict[str, Any] | None = None
    early_stopping: dict[str, Any] | None = None
    tensorboard: dict[str, Any] | None = None
    train_callbacks: list[Any]
    train_kwargs: dict[str, Any]
    tflite_converter: dict[str, Any]
    on_training_complete: Callable[[Any], Any] | None = None

    def __init__(self) -> None:
        super().__init__()
        self.metrics = ["accuracy"]
        self.checkpoint = KnownKeys(
            "checkpoint", CHECKPOINT_KEYS, {"monitor": "val_accuracy"}, CHECKPOINT_VALUES
        )
        self.train_callbacks = []
        self.train_kwargs = {}
        self.tflite_converter = KnownKeys(
            "tflite_converter",
            convert_options.KEYS,
            {
                "optimizations": ["DEFAULT"],
                "supported_ops": ["TFLITE_BUILTINS_INT8"],
                "inference_input_type": "int8",
                "inference_output_type": "int8",
                "representative_dataset": "generate",
            },
        )

    def build_model(self) -> Any:
        """Build the Keras model with `build_model_function`.

        Raises:
            ModelError: there is no such function, or it returns nothing.

        """
        if self.build_model_function is None:
            raise ModelError(
                f"The model {self.name} has no build_model_function: assign a function that takes the model "
                "specification and returns a compiled Keras model"
            )
        keras_model = self.build_model_function(self)
        if keras_model is None:
            raise ModelError(
                f"build_model_function of the model {self.name} returned nothing: return the Keras model"
            )
        return keras_model
