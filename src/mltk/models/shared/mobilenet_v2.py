"""A MobileNetV2 for spectrograms: inverted residuals with linear bottlenecks.

Source: M. Sandler, A. Howard, M. Zhu, A. Zhmoginov, L.-C. Chen, "MobileNetV2: Inverted Residuals and Linear
Bottlenecks", 2018 (arXiv:1801.04381). A spectrogram of 49x40 is a fifth as wide as the paper's images, so the
stages behind the third halving (96, 160 and 320 channels) and the 1280 features are left out; the stages that are
here have the paper's expansion, channels and repeats times `width`.
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from mltk.models.shared.inputs import spectrogram_input

# (expansion, channels, repeats, stride of the first): the paper's table 2, its first four rows
_STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 1))
_FIRST_CHANNELS = 32
_LAST_CHANNELS = 256


def mobilenet_v2(
    input_shape: Sequence[int],
    classes: int,
    *,
    width: float = 0.35,
    dropout: float = 0.2,
    name: str = "mobilenet_v2",
) -> keras.Model:
    """Build a small MobileNetV2: a convolution, ten inverted residuals, a pointwise convolution, pooling.

    52,844 parameters, 2,130,976 MACs at 49x40x1 and 12 classes.

    Args:
        input_shape: (frames, channels, 1) or (frames, 1, channels).
        classes: number of classes.
        width: factor of all numbers of channels, which are then rounded to multiples of 8.
        dropout: share of the pooled features that is dropped in training.
        name: the Keras model's name.

    Returns:
        An uncompiled functional model that gives posteriors [classes] float32.

    Raises:
        ModelError: a shape or number of classes that can not be.

    """
    inputs, x = spectrogram_input(input_shape, classes, name)
    x = layers.Conv2D(
        _scaled(_FIRST_CHANNELS, width), 3, strides=2, padding="same", use_bias=False, name="first_conv"
    )(x)
    x = _normalized(x, "first")
    index = 0
    for expansion, channels, repeats, stride in _STAGES:
        for repeat in range(repeats):
            x = _inverted_residual(
                x, expansion, _scaled(channels, width), 1 if repeat else stride, f"block_{index:02}"
            )
            index += 1
    x = layers.Conv2D(_scaled(_LAST_CHANNELS, width), 1, use_bias=False, name="last_conv")(x)
    x = _normalized(x, "last")
    x = layers.AveragePooling2D(x.shape[1:3], name="average_pool")(x)
    x = layers.Dropout(dropout, name="dropout")(layers.Flatten(name="flatten")(x))
    return keras.Model(inputs, layers.Dense(classes, activation="softmax", name="posteriors")(x), name=name)


def _inverted_residual(x: Any, expansion: int, channels: int, stride: int, name: str) -> Any:
    """Append expansion, depthwise convolution and a linear projection, with a shortcut where shapes allow it."""
    shortcut = x
    if expansion > 1:
        x = layers.Conv2D(x.shape[-1] * expansion, 1, use_bias=False, name=f"{name}_expand")(x)
        x = _normalized(x, f"{name}_expand")
    x = layers.DepthwiseConv2D(3, strides=stride, padding="same", use_bias=False, name=f"{name}_depthwise")(x)
    x = _normalized(x, f"{name}_depthwise")
    x = layers.Conv2D(channels, 1, use_bias=False, name=f"{name}_project")(x)
    x = layers.BatchNormalization(name=f"{name}_project_norm")(x)
    if stride == 1 and shortcut.shape[-1] == channels:
        x = layers.Add(name=f"{name}_add")([x, shortcut])
    return x


def _normalized(x: Any, name: str) -> Any:
    x = layers.BatchNormalization(name=f"{name}_norm")(x)
    return layers.ReLU(6.0, name=f"{name}_relu6")(x)


def _scaled(channels: int, width: float) -> int:
    """Return a number of channels times `width`, a multiple of 8 and not more than a tenth below it."""
    wanted = channels * width
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * wanted else rounded
