"""Hear "alexa" with a temporal convolutional net.

`mltk train keyword_spotting_alexa [--dataset DIR]`. Layers, frontend and application settings are those of seed 2's
specification of this name (TENet12, 118 x 108 features with a dynamic range of 40 dB, int8), so that devices made for the
published model take this one. The training recipe is ours: 40 epochs where the original takes 100,000 steps.
"""

import numpy as np
from keras import Model

from mltk.datasets.feed import ParallelAudioDataGenerator
from mltk.datasets.synthesis.dataset import SynthesizedWords
from mltk.frontend.settings import AudioFeatureGeneratorSettings
from mltk.models.model import AudioDatasetMixin, EvaluateClassifierMixin, MltkModel, TrainMixin
from mltk.models.shared.metrics import BalancedAccuracy
from mltk.models.shared.schedules import CosineLearnRate
from mltk.models.shared.short_training import prepare_for_short_training
from mltk.models.shared.tenet import MultiScaleTemporalConvolution, TENet12


class Alexa(MltkModel, TrainMixin, AudioDatasetMixin, EvaluateClassifierMixin):
    """The specification's class; its one instance is `my_model`."""


my_model = Alexa()
my_model.version = 1
my_model.description = 'Keyword spotting classifier to detect: "alexa"'
my_model.classes = ["alexa", "_unknown_"]

# Training

my_model.epochs = 40
my_model.batch_size = 32
my_model.optimizer = "adam"
my_model.loss = "categorical_crossentropy"
my_model.metrics = ["accuracy", BalancedAccuracy(len(my_model.classes))]
my_model.checkpoint["monitor"] = "val_balanced_accuracy"
my_model.train_callbacks = [CosineLearnRate(3e-3, warmup_epochs=1)]
my_model.keras_custom_objects["MultiScaleTemporalConvolution"] = MultiScaleTemporalConvolution

# Conversion: the device feeds int8 features in and reads int8 scores

my_model.tflite_converter["optimizations"] = ["DEFAULT"]
my_model.tflite_converter["supported_ops"] = ["TFLITE_BUILTINS_INT8"]
my_model.tflite_converter["inference_input_type"] = "int8"
my_model.tflite_converter["inference_output_type"] = "int8"
my_model.tflite_converter["representative_dataset"] = "generate"

# Data. Without --dataset the word is spoken by a synthesizer. Half-heard words count as others: a stream shows the word many
# times before it is whole.

my_model.dataset = SynthesizedWords(["alexa"], count=800, unknown=1600)
my_model.class_mode = "categorical"
my_model.class_weights = "balanced"

frontend_settings = AudioFeatureGeneratorSettings()
frontend_settings.sample_rate_hz = 16000
frontend_settings.sample_length_ms = 1200  # the word is longer than a second where it is said slowly
frontend_settings.window_size_ms = 30
frontend_settings.window_step_ms = 10
frontend_settings.filterbank_n_channels = 108
frontend_settings.filterbank_upper_band_limit = 7500.0
frontend_settings.filterbank_lower_band_limit = 125.0
frontend_settings.noise_reduction_enable = True
frontend_settings.noise_reduction_smoothing_bits = 10
frontend_settings.noise_reduction_even_smoothing = 0.025
frontend_settings.noise_reduction_odd_smoothing = 0.06
frontend_settings.noise_reduction_min_signal_remaining = 0.40
frontend_settings.dc_notch_filter_enable = True
frontend_settings.dc_notch_filter_coefficient = 0.95
frontend_settings.quantize_dynamic_scale_enable = True
frontend_settings.quantize_dynamic_scale_range_db = 40.0

my_model.datagen = ParallelAudioDataGenerator(
    dtype=np.int8,
    frontend_settings=frontend_settings,
    validation_split=0.10,
    validation_augmentation_enabled=True,
    cores=2,
    unknown_class_percentage=1.5,
    offset_range=(0.0, 1.0),
    trim_threshold_db=30,
    noise_colors="all",
    noise_color_range=(0.0, 0.02),
    loudness_range=(0.3, 3.0),
    resample_range=(0.85, 1.18),
    bg_noise_range=(0.0, 0.3),
    bg_noise_dir="_background_noise_",
    warmup_ms=1000,
    partial_words=True,
)

# Time first: a row of 108 features is one step of the convolutions.

_FRAMES, _CHANNELS = frontend_settings.spectrogram_shape
my_model.input_shape = (_FRAMES, 1, _CHANNELS)


def build(model: Alexa) -> Model:
    """Build the net and compile it."""
    net = TENet12(model.input_shape, model.n_classes, name=model.name)
    prepare_for_short_training(net)
    net.compile(loss=model.loss, optimizer=model.optimizer, metrics=model.metrics)
    return net


my_model.build_model_function = build

# What `mltk classify_audio` and the device do with the scores; options of the command override it

my_model.model_parameters["latency_ms"] = 200  # between two inferences
my_model.model_parameters["minimum_count"] = 2  # scores that an average needs
my_model.model_parameters["average_window_duration_ms"] = 440  # 1.1 times what two inferences take
my_model.model_parameters["detection_threshold"] = 204  # 0-255
my_model.model_parameters["suppression_ms"] = 900
my_model.model_parameters["volume_gain"] = 0
my_model.model_parameters["verbose_model_output_logs"] = False
