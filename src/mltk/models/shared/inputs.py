"""The input that all architectures share: what the frontend gives, checked."""

from collections.abc import Sequence
from typing import Any

import keras

from mltk.utils.errors import ModelError


def spectrogram_shape(input_shape: Sequence[int], name: str) -> tuple[int, int]:
    """Return (frames, channels) of the shape of one input.

    Args:
        input_shape: (frames, channels, 1) as the frontend gives them, or (frames, 1, channels), without the
            batch. (frames, 1, 1) is one channel.
        name: the architecture, for the message.

    Raises:
        ModelError: it is none of these.

    """
    shape = tuple(input_shape)
    fits = len(shape) == 3 and all(isinstance(size, int) and size > 0 for size in shape) and 1 in shape[1:]
    if not fits:
        raise ModelError(
            f"{name} takes features of the shape (frames, channels, 1) or (frames, 1, channels), "
            f"not {shape}: set the model's input_shape"
        )
    return shape[0], shape[1] * shape[2]


def check_classes(classes: int, name: str) -> None:
    """Raise ModelError unless `classes` is a positive number of classes."""
    if not isinstance(classes, int) or classes < 1:
        raise ModelError(f"{name} needs the number of classes (1 or more), not {classes!r}")


def spectrogram_input(
    input_shape: Sequence[int], classes: int, name: str, least_channels: int = 1
) -> tuple[Any, Any]:
    """Return (the input, features [batch, frames, channels, 1]) as Keras tensors.

    An input (frames, 1, channels) holds the same values in the same order and is reshaped in the model.

    Args:
        input_shape: (frames, channels, 1) or (frames, 1, channels).
        classes: number of classes, to be checked.
        name: the architecture, for messages.
        least_channels: channels below which the architecture's kernels do not fit.

    Raises:
        ModelError: a shape or number of classes that can not be.

    """
    frames, channels = spectrogram_shape(input_shape, name)
    check_classes(classes, name)
    if channels < least_channels:
        raise ModelError(f"{name} needs {least_channels} channels or more, not {channels}")
    inputs = keras.Input(tuple(input_shape), name="features")
    if tuple(input_shape) == (frames, channels, 1):
        return inputs, inputs
    return inputs, keras.layers.Reshape((frames, channels, 1), name="spectrogram")(inputs)
