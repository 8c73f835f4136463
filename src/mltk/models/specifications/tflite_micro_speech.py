"""TensorFlow Lite Micro's speech example: a tiny net that tells "yes" and "no" from other words and silence.

`mltk train tflite_micro_speech`. Topology, frontend and application settings are those of the published
model of this name (16.7 k parameters, 336 k MACs an inference), so that devices made for it take this one.
"""

import numpy as np
from keras import Sequential, layers

from mltk.datasets.audio.speech_commands import speech_commands_v2
from mltk.datasets.feed import ParallelAudioDataGenerator
from mltk.frontend.settings import AudioFeatureGeneratorSettings
from mltk.models.model import AudioDatasetMixin, EvaluateClassifierMixin, MltkModel, TrainMixin
from mltk.models.shared.metrics import BalancedAccuracy
from mltk.models.shared.schedules import CosineLearnRate


class MicroSpeech(MltkModel, TrainMixin, AudioDatasetMixin, EvaluateClassifierMixin):
    """The specification's class; its one instance is `my_model`."""


my_model = MicroSpeech()
my_model.version = 1
my_model.description = "TFLite-Micro speech"

# Training. The published specification stops by itself at a constant rate; with augmented recordings a fixed number
# of epochs under a falling rate hears speakers better that it has not been trained on. The best epoch is told by the mean
# of the classes' accuracies: most of the validation clips are other words, which alone would choose.

my_model.epochs = 200
my_model.batch_size = 64
my_model.optimizer = "adam"
my_model.loss = "categorical_crossentropy"
my_model.checkpoint["monitor"] = "val_balanced_accuracy"
my_model.train_callbacks = [CosineLearnRate(5e-3)]

# Conversion: the device feeds int8 features in and reads int8 scores

my_model.tflite_converter["optimizations"] = ["DEFAULT"]
my_model.tflite_converter["supported_ops"] = ["TFLITE_BUILTINS_INT8"]
my_model.tflite_converter["inference_input_type"] = "int8"
my_model.tflite_converter["inference_output_type"] = "int8"
my_model.tflite_converter["representative_dataset"] = "generate"

# Data

my_model.dataset = speech_commands_v2
my_model.class_mode = "categorical"
my_model.classes = ["yes", "no", "_unknown_", "_silence_"]
my_model.metrics = ["accuracy", BalancedAccuracy(len(my_model.classes))]
# There are three times as many other words as clips of one keyword (below), so "balanced" would give them a third; a little
# more keeps false accepts down.
my_model.class_weights = {"yes": 1.0, "no": 1.0, "_unknown_": 0.4, "_silence_": 1.2}

frontend_settings = AudioFeatureGeneratorSettings()
frontend_settings.sample_rate_hz = 16000
frontend_settings.sample_length_ms = 1000
frontend_settings.window_size_ms = 30
frontend_settings.window_step_ms = 20
frontend_settings.filterbank_n_channels = 40
frontend_settings.filterbank_upper_band_limit = 7500.0
frontend_settings.filterbank_lower_band_limit = 125.0
frontend_settings.noise_reduction_enable = True
frontend_settings.noise_reduction_smoothing_bits = 10
frontend_settings.noise_reduction_even_smoothing = 0.025
frontend_settings.noise_reduction_odd_smoothing = 0.06
frontend_settings.noise_reduction_min_signal_remaining = 0.05
frontend_settings.pcan_enable = True
frontend_settings.pcan_strength = 0.95
frontend_settings.pcan_offset = 80.0
frontend_settings.pcan_gain_bits = 21
frontend_settings.log_scale_enable = True
frontend_settings.log_scale_shift = 6

my_model.datagen = ParallelAudioDataGenerator(
    dtype=np.int8,
    frontend_settings=frontend_settings,
    validation_split=0.15,
    validation_augmentation_enabled=False,
    cores=2,
    unknown_class_percentage=3.0,
    silence_class_percentage=1.0,
    offset_range=(0.0, 1.0),
    trim_threshold_db=20,
    loudness_range=(0.3, 3.0),
    resample_range=(0.85, 1.18),
    bg_noise_range=(0.0, 0.3),
    bg_noise_dir="_background_noise_",
    warmup_ms=1000,
)

# Layers


def build(model: MicroSpeech) -> Sequential:
    """Build the net and compile it."""
    net = Sequential(
        [
            layers.Input(model.input_shape),
            layers.Conv2D(8, (10, 8), strides=(2, 2), padding="same"),
            layers.BatchNormalization(),
            layers.Activation("relu"),
            layers.Dropout(0.25),
            layers.Flatten(),
            layers.Dense(model.n_classes, activation="softmax"),
        ],
        name=model.name,
    )
    net.compile(loss=model.loss, optimizer=model.optimizer, metrics=model.metrics)
    return net


my_model.build_model_function = build

# What `mltk classify_audio` and the device do with the scores; options of the command override it. The published model
# averages over 1000 ms, in which a short word fills too few of the windows (benchmarks/stream.py).

my_model.model_parameters["average_window_duration_ms"] = 400  # scores in this time are averaged
my_model.model_parameters["detection_threshold"] = 200  # 0-255
my_model.model_parameters["suppression_ms"] = 750  # silence after a detection
my_model.model_parameters["minimum_count"] = 3  # scores that an average needs
my_model.model_parameters["volume_gain"] = 0  # of the device's microphone; 0: as it is
my_model.model_parameters["latency_ms"] = 100  # between two inferences
my_model.model_parameters["verbose_model_output_logs"] = False
