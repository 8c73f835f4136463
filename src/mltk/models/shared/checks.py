"""What every architecture asks of its input: one sentence where it can not be."""

from collections.abc import Sequence

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
