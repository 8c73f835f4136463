"""BC-ResNet: broadcasted residual learning, convolutions over frequency and over time in turn.

Source: B. Kim, S. Chang, J. Lee, D. Sung, "Broadcasted Residual Learning for Efficient Keyword Spotting",
Interspeech 2021 (arXiv:2106.04140), table 1 and figure 2; SubSpectralNorm: S. Chang and others, "SubSpectral
Normalization for Neural Audio Data Processing", 2021 (arXiv:2103.13620).
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from numpy.typing import NDArray

from mltk.models.shared.inputs import spectrogram_input
from mltk.utils.errors import ModelError

_REPEATS = (2, 2, 4, 4)
_HALVED_STAGES = (1, 2)  # frequency is halved at the first block of these
_BASE_CHANNELS = 8
_STAGE_CHANNELS = (1.0, 1.5, 2.0, 2.5)  # times base times scale


def bc_resnet(
    input_shape: Sequence[int],
    classes: int,
    *,
    scale: float = 1.0,
    sub_bands: int = 5,
    dropout: float = 0.1,
    name: str = "bc_resnet",
) -> keras.Model:
    """Build a BC-ResNet-`scale` (the paper's tau: 1, 1.5, 2, 3, 6 or 8).

    11,648 parameters, 1,296,532 MACs at 49x40x1 and 12 classes and scale 1 (the paper's 9.2 k: without the moving
    statistics of the normalizations).

    Args:
        input_shape: (frames, channels, 1) or (frames, 1, channels).
        classes: number of classes.
        scale: factor of all numbers of filters.
        sub_bands: equal parts of the frequency axis with statistics of their own; they have to divide the channels
            after each halving (40 channels: 20, 10 and 5).
        dropout: share of whole filters dropped in training.
        name: the Keras model's name.

    Returns:
        An uncompiled functional model that gives posteriors [classes] float32.

    Raises:
        ModelError: a shape or number of classes that can not be, or channels that the sub-bands do not divide.

    """
    inputs, x = spectrogram_input(input_shape, classes, name)
    _check_sub_bands(x.shape[2], sub_bands, name)
    base = _BASE_CHANNELS * scale
    x = layers.Conv2D(round(2 * base), 5, strides=(1, 2), padding="same", use_bias=False, name="first_conv")(
        x
    )
    x = layers.ReLU(name="first_relu")(layers.BatchNormalization(name="first_norm")(x))
    for stage, (repeats, factor) in enumerate(zip(_REPEATS, _STAGE_CHANNELS, strict=True)):
        for repeat in range(repeats):
            stride = 2 if repeat == 0 and stage in _HALVED_STAGES else 1
            part = f"stage_{stage}_block_{repeat}"
            x = _block(x, int(base * factor), stride, 2**stage, sub_bands, dropout, part, repeat == 0)
    return _head(inputs, x, round(4 * base), classes, name)


def _block(
    x: Any,
    filters: int,
    stride: int,
    dilation: int,
    sub_bands: int,
    dropout: float,
    name: str,
    transition: bool,
) -> Any:
    """Append y = shortcut + f2(x) + broadcast(f1(mean over frequency of f2(x))); a transition has no shortcut."""
    shortcut = None if transition else x
    if transition:
        x = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_in_conv")(x)
        x = layers.ReLU(name=f"{name}_in_relu")(layers.BatchNormalization(name=f"{name}_in_norm")(x))
    x = layers.DepthwiseConv2D((1, 3), padding="same", use_bias=False, name=f"{name}_frequency")(x)
    if stride > 1:
        # TensorFlow's depthwise convolution takes one stride for both axes: every second frequency is picked here.
        x = layers.MaxPooling2D(1, strides=(1, stride), name=f"{name}_halve")(x)
    x = SubSpectralNorm(sub_bands, name=f"{name}_sub_norm")(x)
    y = layers.AveragePooling2D((1, x.shape[2]), name=f"{name}_pool")(x)
    y = DilatedTemporalConvolution(3, dilation, name=f"{name}_time")(y)
    y = layers.BatchNormalization(name=f"{name}_time_norm")(y)
    y = layers.Activation("silu", name=f"{name}_swish")(y)
    y = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_pointwise")(y)
    y = layers.SpatialDropout2D(dropout, name=f"{name}_dropout")(y)
    x = layers.Add(name=f"{name}_broadcast")([x, y])
    if shortcut is not None:
        x = layers.Add(name=f"{name}_shortcut")([x, shortcut])
    return layers.ReLU(name=f"{name}_relu")(x)


def _head(inputs: Any, x: Any, filters: int, classes: int, name: str) -> keras.Model:
    """Append the last convolutions, the mean over time and frequency, and the classifier."""
    pad = layers.ZeroPadding2D((2, 0), name="last_pad")(x)  # over time "same", over frequency "valid"
    x = layers.DepthwiseConv2D((5, min(5, x.shape[2])), use_bias=False, name="last_depthwise")(pad)
    x = layers.Conv2D(filters, 1, use_bias=False, name="last_conv")(x)
    x = layers.ReLU(name="last_relu")(layers.BatchNormalization(name="last_norm")(x))
    x = layers.AveragePooling2D(x.shape[1:3], name="average_pool")(x)
    x = layers.Flatten(name="flatten")(x)
    return keras.Model(inputs, layers.Dense(classes, activation="softmax", name="posteriors")(x), name=name)


def _check_sub_bands(channels: int, sub_bands: int, name: str) -> None:
    sizes = []
    for _ in range(1 + len(_HALVED_STAGES)):
        channels = -(-channels // 2)
        sizes.append(channels)
    if sub_bands < 1 or any(size % sub_bands for size in sizes):
        raise ModelError(
            f"{name} halves the frontend's channels to {sizes}, which {sub_bands} sub-bands do not divide: take 40, "
            "80 or 120 channels, or another number of sub_bands"
        )


@keras.saving.register_keras_serializable(package="mltk")
class SubSpectralNorm(layers.Layer):  # type: ignore[misc]
    """Batch normalization with statistics, gain and offset for each sub-band of the frequency axis.

    [batch, frames, frequencies, channels] float32 in and out. Trained it is one factor and one offset for each
    frequency and channel.

    Args:
        sub_bands: number of equal parts of the frequency axis.

    Raises:
        ModelError: the sub-bands do not divide the frequencies.

    """

    def __init__(self, sub_bands: int, **options: Any) -> None:
        super().__init__(**options)
        self.sub_bands = sub_bands
        self.norm = layers.BatchNormalization(dtype=self.dtype_policy, name="norm")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the statistics."""
        frequencies, channels = input_shape[2:]
        if frequencies is None or channels is None or frequencies % self.sub_bands:
            raise ModelError(f"{self.sub_bands} sub-bands do not divide {frequencies} frequencies")
        self.frequencies, self.channels = frequencies, channels
        self.norm.build((None, None, None, self.sub_bands * channels))
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Normalize."""
        bands, size = self.sub_bands, self.frequencies // self.sub_bands
        frames = inputs.shape[1]
        x = keras.ops.reshape(inputs, (-1, frames, bands, size, self.channels))
        x = keras.ops.transpose(x, (0, 1, 3, 2, 4))
        x = keras.ops.reshape(x, (-1, frames, size, bands * self.channels))
        x = self.norm(x, training=training)
        x = keras.ops.reshape(x, (-1, frames, size, bands, self.channels))
        x = keras.ops.transpose(x, (0, 1, 3, 2, 4))
        return keras.ops.reshape(x, (-1, frames, self.frequencies, self.channels))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the output's shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return what makes the layer again."""
        return {**super().get_config(), "sub_bands": self.sub_bands}

    def export_layer(self) -> Any:
        """Return the layer that `mltk.tflite.convert` exports: a depthwise 1x1 convolution.

        Its channels are all frequencies and channels together, so that int8 has a scale for each of them; that costs
        two RESHAPE operators, which move nothing.
        """
        gamma, beta, mean, variance = (np.asarray(value, np.float64) for value in self.norm.get_weights())
        gain = gamma / np.sqrt(variance + self.norm.epsilon)
        offset = beta - mean * gain
        return _FrequencyAffine(self._spread(gain), self._spread(offset), name=self.name)

    def _spread(self, values: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return [frequencies * channels] of [sub_bands * channels]."""
        rows = values.reshape(self.sub_bands, self.channels)
        return np.repeat(rows, self.frequencies // self.sub_bands, axis=0).reshape(-1).astype(np.float32)


@keras.saving.register_keras_serializable(package="mltk")
class DilatedTemporalConvolution(layers.DepthwiseConv2D):  # type: ignore[misc]
    """Depthwise convolution over frames that are `dilation` apart, padding "same", without bias.

    [batch, frames, 1, channels] float32 in and out. TensorFlow computes it with a SPACE_TO_BATCH_ND before and a
    BATCH_TO_SPACE_ND behind it, on which the converter folds no batch normalization; it is exported as the one
    operator that a device has for it.

    Args:
        length: frames of the kernel.
        dilation: distance between them.

    """

    def __init__(self, length: int, dilation: int = 1, **options: Any) -> None:
        self.length, self.dilation = length, dilation
        super().__init__((length, 1), padding="same", dilation_rate=(dilation, 1), use_bias=False, **options)

    def get_config(self) -> dict[str, Any]:
        """Return what makes the layer again."""
        base = layers.Layer.get_config(self)
        return {**base, "length": self.length, "dilation": self.dilation}

    def export_layer(self) -> Any:
        """Return the layer that `mltk.tflite.convert` exports."""
        return _DilatedExport(np.asarray(self.kernel, np.float32), self.dilation, name=self.name)


class _DilatedExport(layers.Layer):  # type: ignore[misc]
    """One dilated depthwise convolution with a constant kernel: made for the export only."""

    def __init__(self, values: NDArray[np.float32], dilation: int, **options: Any) -> None:
        super().__init__(**options)
        self.values, self.dilation = values, dilation

    def call(self, inputs: Any) -> Any:
        # The kernel is one frequency wide, so that the second dilation means nothing; TensorFlow wants it equal.
        return tf.raw_ops.DepthwiseConv2dNative(
            input=inputs,
            filter=self.values,
            strides=[1, 1, 1, 1],
            padding="SAME",
            dilations=[1, self.dilation, self.dilation, 1],
        )

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape


class _FrequencyAffine(layers.Layer):  # type: ignore[misc]
    """A factor and an offset for each frequency and channel, constant: made for the export only."""

    def __init__(self, gain: NDArray[np.float32], offset: NDArray[np.float32], **options: Any) -> None:
        super().__init__(**options)
        self.gain, self.offset = gain, offset

    def call(self, inputs: Any) -> Any:
        frames, frequencies, channels = inputs.shape[1:]
        x = keras.ops.reshape(inputs, (-1, frames, 1, frequencies * channels))
        kernel = keras.ops.convert_to_tensor(self.gain.reshape(1, 1, -1, 1))
        x = keras.ops.depthwise_conv(x, kernel, strides=1, padding="valid") + self.offset
        return keras.ops.reshape(x, (-1, frames, frequencies, channels))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape
