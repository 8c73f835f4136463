"""Hear ten command words: yes, no, up, down, left, right, on, off, stop, go.

`mltk train keyword_spotting_commands [--dataset DIR]`. The twelve classes are those in which the literature on Speech
Commands (P. Warden, 2018, arXiv:1804.03209) and MLPerf Tiny measure. `my_model.architecture` is any name of
`mltk.models.shared.architectures`; docs/specifications.md tells how several of them score.
"""

import numpy as np
from keras import Model, optimizers

from mltk.datasets.feed import ParallelAudioDataGenerator
from mltk.datasets.synthesis.dataset import SynthesizedWords
from mltk.frontend.settings import AudioFeatureGeneratorSettings
from mltk.models.model import AudioDatasetMixin, EvaluateClassifierMixin, MltkModel, TrainMixin
from mltk.models.shared import architectures
from mltk.models.shared.metrics import BalancedAccuracy
from mltk.models.shared.schedules import CosineLearnRate
from mltk.models.shared.short_training import prepare_for_short_training


class Commands(MltkModel, TrainMixin, AudioDatasetMixin, EvaluateClassifierMixin):
    """The specification's class; its one instance is `my_model`.

    Attributes:
        architecture: name of the net in `mltk.models.shared.architectures`.

    """

    architecture: str = "ds_cnn"


my_model = Commands()
my_model.version = 1
my_model.description = "Keyword spotting classifier to detect ten command words"
my_model.classes = [
    "yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go", "_unknown_", "_silence_",
]  # fmt: skip

# Training

my_model.epochs = 30
my_model.batch_size = 32
my_model.loss = "categorical_crossentropy"
my_model.metrics = ["accuracy", BalancedAccuracy(len(my_model.classes))]
my_model.checkpoint["monitor"] = "val_balanced_accuracy"
my_model.train_callbacks = [CosineLearnRate(3e-3, warmup_epochs=1)]

# Conversion: the device feeds int8 features in and reads int8 scores

my_model.tflite_converter["optimizations"] = ["DEFAULT"]
my_model.tflite_converter["supported_ops"] = ["TFLITE_BUILTINS_INT8"]
my_model.tflite_converter["inference_input_type"] = "int8"
my_model.tflite_converter["inference_output_type"] = "int8"
my_model.tflite_converter["representative_dataset"] = "generate"

# Data. Without --dataset the words are spoken by a synthesizer.

my_model.dataset = SynthesizedWords(my_model.classes[:10], count=250, unknown=1000)
my_model.class_mode = "categorical"
# All clips weigh the same, and other words have two and a half times as many as a keyword: balanced, a net takes seven in ten
# of them for a keyword.
my_model.class_weights = None

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
    validation_split=0.10,
    validation_augmentation_enabled=False,
    cores=2,
    unknown_class_percentage=2.5,
    silence_class_percentage=0.5,
    offset_range=(0.0, 1.0),
    trim_threshold_db=20,
    loudness_range=(0.3, 3.0),
    resample_range=(0.85, 1.18),
    bg_noise_range=(0.0, 0.2),
    bg_noise_dir="_background_noise_",
    warmup_ms=500,
)

# Layers


def build(model: Commands) -> Model:
    """Build the net and compile it."""
    net = architectures.build(model.architecture, model.input_shape, model.n_classes)
    net.name = model.name
    prepare_for_short_training(net)
    net.compile(loss=model.loss, optimizer=optimizers.Adam(), metrics=model.metrics)
    return net


my_model.build_model_function = build

# What `mltk classify_audio` and the device do with the scores; options of the command override it

my_model.model_parameters["average_window_duration_ms"] = 400  # scores in this time are averaged
my_model.model_parameters["detection_threshold"] = 200  # 0-255
my_model.model_parameters["suppression_ms"] = 750  # silence after a detection
my_model.model_parameters["minimum_count"] = 3  # scores that an average needs
my_model.model_parameters["volume_gain"] = 0  # of the device's microphone; 0: as it is
my_model.model_parameters["latency_ms"] = 100  # between two inferences
my_model.model_parameters["verbose_model_output_logs"] = False
