"""The architectures of TensorFlow's Speech Commands trainer (`--model_architecture`).

Sources: P. Warden, "Speech Commands", 2018 (arXiv:1804.03209) and the trainer's own models; T. Sainath, C. Parada,
"Convolutional Neural Networks for Small-footprint Keyword Spotting", Interspeech 2015, for `conv` (there
cnn-trad-fpool3) and `low_latency_conv` (cnn-one-fstride4); P. Nakkiran and others, "Compressing Deep Neural
Networks Using a Rank-Constrained Topology", Interspeech 2015, for `low_latency_svdf`.

Sizes, strides and activations are the trainer's; weights start as Keras starts them. Every builder takes the
frontend's features [frames, channels, 1] (or [frames, 1, channels]) and returns an uncompiled functional model
that gives posteriors [classes] float32. The counts in the docstrings are for 49x40x1 and 12 classes.
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from mltk.models.shared.inputs import spectrogram_input

_SVDF_RANK = 2
_SVDF_UNITS = 1280


def single_fc(input_shape: Sequence[int], classes: int, *, name: str = "single_fc") -> keras.Model:
    """Build one dense layer on all features: the baseline.

    23,532 parameters, 23,520 MACs.

    Args:
        input_shape: (frames, channels, 1) or (frames, 1, channels).
        classes: number of classes.
        name: the Keras model's name.

    Raises:
        ModelError: a shape or number of classes that can not be.

    """
    inputs, x = spectrogram_input(input_shape, classes, name)
    return _classifier(inputs, x, classes, name)


def conv(
    input_shape: Sequence[int], classes: int, *, dropout: float = 0.5, name: str = "conv"
) -> keras.Model:
    """Build two convolutions of 64 filters with pooling between them: the most accurate of the family, for a PC.

    558,220 parameters, 102,374,400 MACs.

    Args:
        input_shape: (frames, channels, 1) or (frames, 1, channels).
        classes: number of classes.
        dropout: share of values dropped in training after each convolution.
        name: the Keras model's name.

    Raises:
        ModelError: a shape or number of classes that can not be.

    """
    inputs, x = spectrogram_input(input_shape, classes, name)
    x = layers.Conv2D(64, (20, 8), padding="same", activation="relu", name="first_conv")(x)
    x = layers.Dropout(dropout, name="first_dropout")(x)
    x = layers.MaxPooling2D(2, padding="same", name="max_pool")(x)
    x = layers.Conv2D(64, (10, 4), padding="same", activation="relu", name="second_conv")(x)
    x = layers.Dropout(dropout, name="second_dropout")(x)
    return _classifier(inputs, x, classes, name)


def low_latency_conv(
    input_shape: Sequence[int], classes: int, *, dropout: float = 0.5, name: str = "low_latency_conv"
) -> keras.Model:
    """Build one convolution as long as the clip, then three dense layers: fewer MACs than `conv`, more weights.

    876,950 parameters, 3,209,680 MACs.

    Args:
        input_shape: (frames, channels, 1) or (frames, 1, channels); 8 channels or more.
        classes: number of classes.
        dropout: share of values dropped in training after each layer.
        name: the Keras model's name.

    Raises:
        ModelError: a shape or number of classes that can not be.

    """
    inputs, x = spectrogram_input(input_shape, classes, name, least_channels=8)
    x = layers.Conv2D(186, (x.shape[1], 8), activation="relu", name="first_conv")(x)
    x = layers.Dropout(dropout, name="first_dropout")(x)
    x = _hidden(layers.Flatten(name="flatten")(x), 128, dropout)
    return _classifier(inputs, x, classes, name)


def low_latency_svdf(
    input_shape: Sequence[int], classes: int, *, dropout: float = 0.5, name: str = "low_latency_svdf"
) -> keras.Model:
    """Build a layer of 1280 rank-2 filters (each a pattern over channels by one over frames), then dense layers.

    A filter of rank 2 is the sum of two separable ones, and these are a convolution over the channels and a
    depthwise one over the frames: stock layers, so that it trains and exports like any net. It looks at the whole
    clip; the trainer's streaming mode, which feeds one frame at a time, is not here.

    625,932 parameters, 5,539,328 MACs.

    Args:
        input_shape: (frames, channels, 1) or (frames, 1, channels).
        classes: number of classes.
        dropout: share of values dropped in training after each layer.
        name: the Keras model's name.

    Raises:
        ModelError: a shape or number of classes that can not be.

    """
    inputs, x = spectrogram_input(input_shape, classes, name)
    frames, channels = x.shape[1:3]
    ranks = []
    for rank in range(_SVDF_RANK):
        y = layers.Conv2D(_SVDF_UNITS, (1, channels), use_bias=False, name=f"frequency_{rank}")(x)
        # One bias for the sum of the ranks
        ranks.append(layers.DepthwiseConv2D((frames, 1), use_bias=rank == 0, name=f"time_{rank}")(y))
    x = layers.ReLU(name="relu")(layers.Add(name="ranks")(ranks))
    x = layers.Dropout(dropout, name="first_dropout")(x)
    x = _hidden(layers.Flatten(name="flatten")(x), 256, dropout)
    return _classifier(inputs, x, classes, name)


def tiny_conv(
    input_shape: Sequence[int], classes: int, *, dropout: float = 0.5, name: str = "tiny_conv"
) -> keras.Model:
    """Build one convolution of 8 filters with stride 2: the net of TensorFlow Lite Micro's speech example.

    48,660 parameters, 368,000 MACs.

    Args:
        input_shape: (frames, channels, 1) or (frames, 1, channels).
        classes: number of classes.
        dropout: share of values dropped in training after the convolution.
        name: the Keras model's name.

    Raises:
        ModelError: a shape or number of classes that can not be.

    """
    inputs, x = spectrogram_input(input_shape, classes, name)
    x = _tiny_conv(x, 2, dropout, "first")
    return _classifier(inputs, x, classes, name)


def tiny_embedding_conv(
    input_shape: Sequence[int], classes: int, *, dropout: float = 0.5, name: str = "tiny_embedding_conv"
) -> keras.Model:
    """Build two convolutions of 8 filters with strides 2 and 8: the smallest dense layer of the family.

    6,940 parameters, 382,592 MACs.

    Args:
        input_shape: (frames, channels, 1) or (frames, 1, channels).
        classes: number of classes.
        dropout: share of values dropped in training after each convolution.
        name: the Keras model's name.

    Raises:
        ModelError: a shape or number of classes that can not be.

    """
    inputs, x = spectrogram_input(input_shape, classes, name)
    x = _tiny_conv(x, 2, dropout, "first")
    x = _tiny_conv(x, 8, dropout, "second")
    return _classifier(inputs, x, classes, name)


def _tiny_conv(x: Any, stride: int, dropout: float, name: str) -> Any:
    x = layers.Conv2D(8, (10, 8), strides=stride, padding="same", activation="relu", name=f"{name}_conv")(x)
    return layers.Dropout(dropout, name=f"{name}_dropout")(x)


def _hidden(x: Any, units: int, dropout: float) -> Any:
    """Append the trainer's two hidden dense layers; they have no activation."""
    for order in ("first", "second"):
        x = layers.Dense(units, name=f"{order}_fc")(x)
        x = layers.Dropout(dropout, name=f"{order}_fc_dropout")(x)
    return x


def _classifier(inputs: Any, x: Any, classes: int, name: str) -> keras.Model:
    if len(x.shape) > 2:
        x = layers.Flatten(name="flatten")(x)
    return keras.Model(inputs, layers.Dense(classes, activation="softmax", name="posteriors")(x), name=name)
