"""Hear the digits "zero" to "nine" with a temporal convolutional net and an LSTM.

`mltk train keyword_spotting_numbers [--dataset DIR]`. Layers, frontend and application settings are those of the
published model of this name (seed 1): 98 x 40 features, normalized clip by clip, float32 in and out around an int8
graph of 118 operators. The training recipe is ours.
"""

import numpy as np
from keras import Model, optimizers

from mltk.datasets.feed import ParallelAudioDataGenerator
from mltk.datasets.synthesis.dataset import SynthesizedWords
from mltk.frontend.settings import AudioFeatureGeneratorSettings
from mltk.models.model import AudioDatasetMixin, EvaluateClassifierMixin, MltkModel, TrainMixin
from mltk.models.shared.metrics import BalancedAccuracy
from mltk.models.shared.recurrent import lstm_head
from mltk.models.shared.schedules import CosineLearnRate
from mltk.models.shared.short_training import prepare_for_short_training
from mltk.models.shared.tenet import TENet


class Numbers(MltkModel, TrainMixin, AudioDatasetMixin, EvaluateClassifierMixin):
    """The specification's class; its one instance is `my_model`."""


my_model = Numbers()
my_model.version = 1
my_model.description = "Keyword spotting classifier to detect the digits zero to nine"
my_model.classes = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "_unknown_",
]  # fmt: skip

# Training. A net of this size knows its own validation speakers' words after a few epochs; the loss tells better than the
# accuracy which epoch is the surest.

my_model.epochs = 24
my_model.batch_size = 32
my_model.loss = "categorical_crossentropy"
my_model.metrics = ["accuracy", BalancedAccuracy(len(my_model.classes))]
my_model.checkpoint["monitor"] = "val_loss"
my_model.train_callbacks = [CosineLearnRate(3e-3, warmup_epochs=1)]

# Conversion: the graph computes in int8 and takes and gives float32

my_model.tflite_converter["optimizations"] = ["DEFAULT"]
my_model.tflite_converter["supported_ops"] = ["TFLITE_BUILTINS_INT8"]
my_model.tflite_converter["inference_input_type"] = "float32"
my_model.tflite_converter["inference_output_type"] = "float32"
my_model.tflite_converter["representative_dataset"] = "generate"

# Data. Without --dataset the words are spoken by a synthesizer.

my_model.dataset = SynthesizedWords(my_model.classes[:-1], count=250, unknown=1000)
my_model.class_mode = "categorical"
# A digit that is missed for an other word is the likelier error with speakers that were not trained with.
my_model.class_weights = None

frontend_settings = AudioFeatureGeneratorSettings()
frontend_settings.sample_rate_hz = 16000
frontend_settings.sample_length_ms = 1000
frontend_settings.window_size_ms = 30
frontend_settings.window_step_ms = 10
frontend_settings.filterbank_n_channels = 40
frontend_settings.filterbank_upper_band_limit = 7500.0
frontend_settings.filterbank_lower_band_limit = 125.0
frontend_settings.noise_reduction_enable = True
frontend_settings.noise_reduction_smoothing_bits = 10
frontend_settings.noise_reduction_even_smoothing = 0.025
frontend_settings.noise_reduction_odd_smoothing = 0.06
frontend_settings.noise_reduction_min_signal_remaining = 0.40
frontend_settings.pcan_enable = False
frontend_settings.log_scale_enable = True
frontend_settings.log_scale_shift = 6
frontend_settings.dc_notch_filter_enable = True
frontend_settings.dc_notch_filter_coefficient = 0.95
frontend_settings.quantize_dynamic_scale_enable = False

my_model.datagen = ParallelAudioDataGenerator(
    dtype=np.uint16,
    frontend_settings=frontend_settings,
    samplewise_center=True,
    samplewise_std_normalization=True,
    validation_split=0.15,
    # As they were recorded: they tell the int8 ranges too, which would be wider than real clips need.
    validation_augmentation_enabled=False,
    cores=2,
    unknown_class_percentage=0.5,
    offset_range=(0.0, 1.0),
    trim_threshold_db=30,
    loudness_range=(0.3, 3.0),
    resample_range=(0.77, 1.3),
    vtlp_range=(0.8, 1.25),
    equalizer_db=12.0,
    bg_noise_range=(0.0, 0.005),
    bg_noise_dir="_background_noise_",
    warmup_ms=300,
)

# Time first: a row of 40 features is one step of the convolutions.

_FRAMES, _CHANNELS = frontend_settings.spectrogram_shape
my_model.input_shape = (_FRAMES, 1, _CHANNELS)


def build(model: Numbers) -> Model:
    """Build the net and compile it."""
    backbone = TENet(
        model.input_shape, model.n_classes, channels=40, blocks=4, block_depth=4, include_head=False
    )
    posteriors = lstm_head(backbone.output, model.n_classes, dropout=0.2)
    net = Model(backbone.input, posteriors, name=model.name)
    prepare_for_short_training(net)
    # Normalized logits of a standard deviation of 1 can not be sure of a class: begin with wider ones.
    norm = net.get_layer("logits_norm")
    norm.gamma.assign(3.0 * norm.gamma)
    optimizer = optimizers.Adam(clipnorm=1.0)
    net.compile(loss=model.loss, optimizer=optimizer, metrics=model.metrics)
    return net


my_model.build_model_function = build

# What `mltk classify_audio` and the device do with the scores; options of the command override it

my_model.model_parameters["average_window_duration_ms"] = 450
my_model.model_parameters["detection_threshold"] = 242  # 0-255
my_model.model_parameters["suppression_ms"] = 700
my_model.model_parameters["minimum_count"] = 2
my_model.model_parameters["volume_gain"] = 0.0
my_model.model_parameters["latency_ms"] = 10
my_model.model_parameters["verbose_model_output_logs"] = False
