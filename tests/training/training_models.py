"""A tiny model for the training's tests: two tones to be told apart, from WAV files of many speakers."""

from pathlib import Path

import numpy as np

from mltk.audio.write import write_audio_file

RATE_HZ = 16000

SPECIFICATION = """
import keras
import numpy as np
from keras import layers

from mltk.datasets.feed import ParallelAudioDataGenerator
from mltk.frontend.settings import AudioFeatureGeneratorSettings
from mltk.models.model import AudioDatasetMixin, EvaluateClassifierMixin, MltkModel, TrainMixin


class Tones(MltkModel, TrainMixin, AudioDatasetMixin, EvaluateClassifierMixin):
    pass


my_model = Tones()
my_model.version = 3
my_model.description = "Tones"
my_model.epochs = 3
my_model.batch_size = 8
my_model.dataset = {dataset!r}
my_model.classes = ["low", "high", "_silence_"]
my_model.class_weights = "balanced"
my_model.model_parameters["detection_threshold"] = 100
my_model.reduce_lr_on_plateau = dict(monitor="accuracy", factor=0.5, patience=1)
my_model.early_stopping = dict(monitor="val_accuracy", patience=50)
settings = AudioFeatureGeneratorSettings()
settings.sample_rate_hz = 16000
settings.sample_length_ms = 250
settings.window_size_ms = 30
settings.window_step_ms = 20
settings.filterbank_n_channels = 16
settings.filterbank_upper_band_limit = 7500
settings.filterbank_lower_band_limit = 125
settings.log_scale_enable = True
settings.log_scale_shift = 6
my_model.datagen = ParallelAudioDataGenerator(
    dtype=np.int8, frontend_settings=settings, debug=True, validation_split=0.3,
    validation_augmentation_enabled=False, silence_class_percentage=0.5, offset_range=(0.0, 1.0),
    loudness_range=(0.5, 1.0), bg_noise_dir="_background_noise_", bg_noise_range=(0.0, 0.1),
)


def build(model):
    keras_model = keras.Sequential(
        [
            layers.InputLayer(model.input_shape),
            layers.Conv2D(4, (3, 3), strides=(2, 2), padding="same"),
            layers.BatchNormalization(),
            layers.Activation("relu"),
            layers.Dropout(0.2),
            layers.Flatten(),
            layers.Dense(model.n_classes, activation="softmax"),
        ],
        name=model.name,
    )
    keras_model.compile(loss=model.loss, optimizer=keras.optimizers.Adam(0.02), metrics=model.metrics)
    return keras_model


my_model.build_model_function = build
"""


def write_data_set(folder: Path, n_speakers: int = 16) -> Path:
    """Write tones of 0.2 s: `low`, `high` and the word `other`, one clip a speaker, and half a second of
    noise.
    """
    rng = np.random.default_rng(11)
    time = np.arange(RATE_HZ // 5) / RATE_HZ
    for word, low_hz, high_hz in (("low", 300, 500), ("high", 2500, 4000), ("other", 900, 1200)):
        (folder / word).mkdir(parents=True)
        for speaker in range(n_speakers):
            tone = 0.4 * np.sin(2 * np.pi * rng.uniform(low_hz, high_hz) * time)
            name = f"{0xABC00000 + speaker:08x}_nohash_0.wav"
            write_audio_file(str(folder / word / name), tone.astype(np.float32), RATE_HZ)
    (folder / "_background_noise_").mkdir()
    for index in range(2):
        noise = rng.normal(0, 0.05, RATE_HZ // 2).astype(np.float32)
        write_audio_file(str(folder / "_background_noise_" / f"noise{index}.wav"), noise, RATE_HZ)
    return folder


def write_specification(folder: Path, dataset: Path, name: str = "tones") -> Path:
    """Write the model's specification."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.py"
    path.write_text(SPECIFICATION.format(dataset=str(dataset)))
    return path
