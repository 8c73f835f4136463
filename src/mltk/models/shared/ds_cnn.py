"""DS-CNN: depthwise separable convolutions on the spectrogram.

Sources: Y. Zhang, N. Suda, L. Lai, V. Chandra, "Hello Edge: Keyword Spotting on Microcontrollers", 2017
(arXiv:1711.07128); layers, dropout and regularization are those of MLPerf Tiny's keyword spotting benchmark
(C. Banbury and others, 2021, arXiv:2106.07597), which at 49x10x1 and 12 classes has 24,908 parameters.
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from mltk.models.shared.inputs import spectrogram_input


def ds_cnn(
    input_shape: Sequence[int],
    classes: int,
    *,
    filters: int = 64,
    blocks: int = 4,
    weight_decay: float = 1e-4,
    name: str = "ds_cnn",
) -> keras.Model:
    """Build a convolution with stride 2 and separable convolutions after it.

    24,908 parameters, 10,624,768 MACs at 49x40x1 and 12 classes.

    Args:
        input_shape: (frames, channels, 1) or (frames, 1, channels).
        classes: number of classes.
        filters: filters of all convolutions.
        blocks: separable convolutions.
        weight_decay: factor of the L2 regularization of the convolutions' kernels.
        name: the Keras model's name.

    Returns:
        An uncompiled functional model that gives posteriors [classes] float32.

    Raises:
        ModelError: a shape or number of classes that can not be.

    """
    decay = keras.regularizers.L2(weight_decay)
    inputs, x = spectrogram_input(input_shape, classes, name)

    def normalized(x: Any, part: str) -> Any:
        x = layers.BatchNormalization(name=f"{part}_norm")(x)
        return layers.ReLU(name=f"{part}_relu")(x)

    x = layers.Conv2D(
        filters, (10, 4), strides=2, padding="same", kernel_regularizer=decay, name="first_conv"
    )(x)
    x = layers.Dropout(0.2, name="first_dropout")(normalized(x, "first"))
    for block in range(blocks):
        x = layers.DepthwiseConv2D(
            3, padding="same", depthwise_regularizer=decay, name=f"block_{block}_depthwise"
        )(x)
        x = normalized(x, f"block_{block}_depthwise")
        x = layers.Conv2D(
            filters, 1, padding="same", kernel_regularizer=decay, name=f"block_{block}_pointwise"
        )(x)
        x = normalized(x, f"block_{block}_pointwise")
    x = layers.Dropout(0.4, name="last_dropout")(x)
    x = layers.AveragePooling2D(x.shape[1:3], name="average_pool")(x)
    x = layers.Flatten(name="flatten")(x)
    return keras.Model(inputs, layers.Dense(classes, activation="softmax", name="posteriors")(x), name=name)
