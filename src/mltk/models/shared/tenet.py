"""TENet: the temporal efficient neural network, a keyword spotter of convolutions along time.

Source: X. Li, X. Wei, X. Qin, "Small-Footprint Keyword Spotting with Multi-Scale Temporal Convolution",
Interspeech 2020 (arXiv:2010.09960); layer names, kernel sizes and the place of every batch normalization
are those of the published keyword_spotting_alexa model, so that its weights fit in here.

The features are channels of a sequence: [time, 1, features]. A spectrogram [time, features, 1] holds the same
values in the same order, so that a model of the one shape takes the data of the other, and a device needs no
change. Every builder takes both: a [time, features, 1] is reshaped inside the model (one RESHAPE operator).

All models are returned uncompiled.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import keras

from mltk.models.shared.inputs import check_classes, spectrogram_shape
from mltk.models.shared.multi_scale import MultiScaleTemporalConvolution, fuse

__all__ = [
    "HFTENet12",
    "MultiScaleTemporalConvolution",
    "TENet",
    "TENet6",
    "TENet6Narrow",
    "TENet12",
    "TENet12Narrow",
    "fuse",
]

_MULTI_SCALES = (9, 7, 5, 3)  # the paper's branches
_SINGLE_SCALE = (9,)
_EXPANSION = 3  # of the inverted bottleneck


def TENet(
    input_shape: Sequence[int],
    classes: int,
    *,
    channels: int = 32,
    blocks: int = 3,
    block_depth: int = 4,
    scales: Sequence[int] = _SINGLE_SCALE,
    channel_increase: float = 0.0,
    dropout: float = 0.1,
    include_head: bool = True,
    name: str = "TENet",
) -> keras.Model:
    """Build a TENet of any size.

    A convolution over 3 frames, then `blocks` stages of `block_depth` inverted bottlenecks each (pointwise
    expansion by 3, depthwise convolution over 9 frames, pointwise contraction, a residual connection); the
    first block of a stage halves the time.

    Args:
        input_shape: (time, 1, features) or (time, features, 1).
        classes: number of classes.
        channels: channels between the blocks.
        blocks: stages; each halves the time.
        block_depth: bottlenecks of a stage.
        scales: kernel sizes in frames of the branches of every depthwise convolution, odd, 3 or more. With
            several, the branches are summed in training and become one kernel on export (`fuse`).
        channel_increase: each stage after the first has this share of `channels` more (0.125: 32, 36, 40).
        dropout: share of the pooled features that is dropped in training.
        include_head: False leaves out average pooling, dropout and the dense layer: the output is then
            [time', 1, channels] float32 features, for a head of one's own.
        name: the Keras model's name.

    Returns:
        An uncompiled functional model; posteriors [classes] float32 (softmax) with the head.

    Raises:
        ModelError: a shape, number of classes or kernel size that can not be.

    """
    time, features = spectrogram_shape(input_shape, name)
    check_classes(classes, name)
    names = _Names()
    inputs = keras.Input(tuple(input_shape), name="input_1")
    x: Any = inputs
    if tuple(input_shape) != (time, 1, features):
        x = keras.layers.Reshape((time, 1, features), name="time_rows")(x)
    x = keras.layers.Conv2D(channels, (3, 1), padding="same", name="conv2d")(x)
    for stage in range(blocks):
        width = round(channels * (1.0 + channel_increase * stage))
        for depth in range(block_depth):
            index = stage * block_depth + depth
            x = _block(x, width, scales, stride=2 if depth == 0 else 1, index=index, names=names)
    if include_head:
        x = keras.layers.AveragePooling2D((x.shape[1], 1), name="average_pooling2d")(x)
        x = keras.layers.Flatten(name="flatten")(x)
        x = keras.layers.Dropout(dropout, name="dropout")(x)
        x = keras.layers.Dense(classes, activation="softmax", name="dense")(x)
    return keras.Model(inputs, x, name=name)


class _Names:
    """The names that Keras gives the layers of the first model of a process: add, add_1, add_2, ...

    They are given here because Keras counts on from model to model, the exported operators are ordered by name,
    and published weights are found by name.
    """

    def __init__(self) -> None:
        self._used: Counter[str] = Counter()

    def __call__(self, kind: str) -> str:
        count = self._used[kind]
        self._used[kind] += 1
        return f"{kind}_{count}" if count else kind


def _block(x: Any, channels: int, scales: Sequence[int], stride: int, index: int, names: _Names) -> Any:
    """Append one inverted bottleneck."""
    layers = keras.layers

    def normalized(y: Any) -> Any:
        return layers.BatchNormalization(name=names("batch_normalization"))(y)

    def relu(y: Any) -> Any:
        return layers.ReLU(name=names("re_lu"))(y)

    def pointwise(y: Any, filters: int, kind: str, stride: int = 1) -> Any:
        padding = "same" if stride > 1 else "valid"
        name = f"{kind}-{index}"
        return layers.Conv2D(filters, 1, strides=stride, use_bias=False, padding=padding, name=name)(y)

    y = relu(normalized(pointwise(x, x.shape[-1] * _EXPANSION, "pointwise_expand_conv")))
    y = MultiScaleTemporalConvolution(stride=stride, scales=scales, name=f"mtconv-{index}")(y)
    y = relu(normalized(y))
    y = normalized(pointwise(y, channels, "pointwise_contract_conv"))
    if stride > 1:
        x = relu(normalized(pointwise(x, channels, "strided_residual", stride)))
    return relu(layers.Add(name=names("add"))([y, x]))


def TENet12(input_shape: Sequence[int], classes: int, *, mtconv: bool = False, **options: Any) -> keras.Model:
    """Build a TENet of 12 blocks with 32 channels.

    102,572 parameters, 1,625,088 MACs at 49x40x1 and 12 classes. The published keyword_spotting_alexa
    is TENet12((118, 1, 108), 2): 108,770 parameters, 4,561,728 MACs.

    Args:
        input_shape: (time, 1, features) or (time, features, 1).
        classes: number of classes.
        mtconv: train the branches of 9, 7, 5 and 3 frames; the exported model is of the same size.
        options: further arguments of `TENet`.

    """
    return _named(input_shape, classes, mtconv, {"blocks": 3, "block_depth": 4}, options)


def TENet6(input_shape: Sequence[int], classes: int, *, mtconv: bool = False, **options: Any) -> keras.Model:
    """Build a TENet of 6 blocks with 32 channels.

    55,148 parameters, 994,368 MACs at 49x40x1 and 12 classes. Arguments as of `TENet12`.
    """
    return _named(input_shape, classes, mtconv, {"blocks": 3, "block_depth": 2}, options)


def TENet12Narrow(
    input_shape: Sequence[int], classes: int, *, mtconv: bool = False, **options: Any
) -> keras.Model:
    """Build a TENet of 12 blocks with 16 channels.

    32,092 parameters, 492,288 MACs at 49x40x1 and 12 classes. Arguments as of `TENet12`.
    """
    return _named(input_shape, classes, mtconv, {"channels": 16, "blocks": 3, "block_depth": 4}, options)


def TENet6Narrow(
    input_shape: Sequence[int], classes: int, *, mtconv: bool = False, **options: Any
) -> keras.Model:
    """Build a TENet of 6 blocks with 16 channels.

    17,596 parameters, 315,168 MACs at 49x40x1 and 12 classes. Arguments as of `TENet12`.
    """
    return _named(input_shape, classes, mtconv, {"channels": 16, "blocks": 3, "block_depth": 2}, options)


def HFTENet12(
    input_shape: Sequence[int], classes: int, *, mtconv: bool = False, **options: Any
) -> keras.Model:
    """Build a TENet of 12 blocks whose channels grow while the time shrinks: 32, 36, 40.

    123,204 parameters, 1,799,824 MACs at 49x40x1 and 12 classes. The name is the reference
    toolkit's; it is in no paper, and no model of it is published. Arguments as of `TENet12`.
    """
    defaults = {"blocks": 3, "block_depth": 4, "channel_increase": 0.125}
    return _named(input_shape, classes, mtconv, defaults, options)


def _named(
    input_shape: Sequence[int], classes: int, mtconv: bool, defaults: dict[str, Any], options: dict[str, Any]
) -> keras.Model:
    scales = {"scales": _MULTI_SCALES if mtconv else _SINGLE_SCALE}
    return TENet(input_shape, classes, **(scales | defaults | options))
