"""The net of the Speech Commands trainer: an architecture behind the features as the device gives them."""

from typing import Any

import keras

from mltk.datasets.feed import ParallelAudioDataGenerator
from mltk.models.model import AudioDatasetMixin, EvaluateClassifierMixin, MltkModel, TrainMixin
from mltk.models.shared.architectures import build
from mltk.training.speech_commands.features import MICRO_SCALE
from mltk.training.speech_commands.settings import FEATURE_RANGES, FeatureSettings, ModelSettings

# What the READMEs' application does with the scores (RecognizeCommands), but for the time averaged over: in 1000 ms a
# short word fills too few of the windows.
DETECTION = {
    "average_window_duration_ms": 400,
    "detection_threshold": 200,
    "suppression_ms": 1500,
    "minimum_count": 3,
    "volume_gain": 0,
    "latency_ms": 100,
    "verbose_model_output_logs": False,
}


class SpeechCommandsModel(MltkModel, TrainMixin, AudioDatasetMixin, EvaluateClassifierMixin):
    """A net of this trainer as the rest of the package knows models."""


def make_specification(settings: ModelSettings, name: str) -> SpeechCommandsModel:
    """Return a net's settings: classes, frontend, detection, conversion."""
    features = settings.features
    model = SpeechCommandsModel()
    model.name = name
    model.description = f"{settings.model_architecture} that hears {', '.join(settings.wanted_words)}"
    model.classes = settings.classes
    model.input_shape = (*features.shape, 1)
    if features.preprocess == "micro":
        model.model_parameters.update(DETECTION)
        model.datagen = ParallelAudioDataGenerator(
            dtype="int8" if features.quantize else "float32",
            frontend_settings=features.frontend_settings,
            rescale=None if features.quantize else MICRO_SCALE,
        )
    model.model_parameters.update(features.to_parameters())
    model.model_parameters["speech_commands.model_architecture"] = settings.model_architecture
    if not features.quantize:
        model.tflite_converter.update(
            optimizations=[],
            supported_ops=["TFLITE_BUILTINS"],
            inference_input_type="float32",
            inference_output_type="float32",
            representative_dataset=None,
        )
    return model


def build_model(settings: ModelSettings, optimizer: str) -> Any:
    """Build the net and compile it.

    Features of the device are int8; the net works on what they stand for, so that the READMEs' learning rates fit. The first
    layer of the model makes the one of the other. It is not converted (`core_of`): a .tflite tells it by its input's scale.

    Args:
        settings: the net.
        optimizer: name out of `settings.OPTIMIZERS`.

    Returns:
        A compiled Keras model: features [n, frames, width, 1], int8 values or real ones -> posteriors [n, classes].

    Raises:
        ModelError: no architecture has this name, or the spectrogram does not fit it.

    """
    shape = (*settings.features.shape, 1)
    core = build(settings.model_architecture, shape, len(settings.classes))
    keras_model = core
    if settings.features.quantize:
        inputs = keras.Input(shape, name="features")
        keras_model = keras.Model(inputs, core(_to_real(settings.features)(inputs)), name=core.name)
    keras_model.compile(
        loss="categorical_crossentropy", optimizer=_optimizer(optimizer), metrics=["accuracy"]
    )
    return keras_model


def core_of(keras_model: Any, settings: ModelSettings) -> Any:
    """Return the net that takes real features out of `build_model`'s model."""
    if not settings.features.quantize:
        return keras_model
    return next(layer for layer in keras_model.layers if isinstance(layer, keras.Model))


def _to_real(features: FeatureSettings) -> Any:
    low, _ = FEATURE_RANGES[features.preprocess]
    offset = low + 128 * features.scale
    return keras.layers.Rescaling(features.scale, offset, name="real_features")


def _optimizer(name: str) -> Any:
    if name == "adam":
        return keras.optimizers.Adam()
    return keras.optimizers.SGD(momentum=0.9 if name == "momentum" else 0.0, nesterov=name == "momentum")
