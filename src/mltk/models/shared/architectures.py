"""The architectures by name: `build("ds_cnn", input_shape=(49, 40, 1), classes=4)`.

Names are listed without Keras; an architecture's module is loaded when it is built. Counts, sizes and
papers: docs/architectures.md.
"""

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from mltk.utils.errors import ModelError
from mltk.utils.text import suggestion

Builder = Callable[..., Any]

# name -> (module of mltk.models.shared, function)
_PLACES = {
    "single_fc": ("speech_commands", "single_fc"),
    "conv": ("speech_commands", "conv"),
    "low_latency_conv": ("speech_commands", "low_latency_conv"),
    "low_latency_svdf": ("speech_commands", "low_latency_svdf"),
    "tiny_conv": ("speech_commands", "tiny_conv"),
    "tiny_embedding_conv": ("speech_commands", "tiny_embedding_conv"),
    "ds_cnn": ("ds_cnn", "ds_cnn"),
    "bc_resnet": ("bc_resnet", "bc_resnet"),
    "mobilenet_v2": ("mobilenet_v2", "mobilenet_v2"),
    "tenet12": ("tenet", "TENet12"),
    "tenet6": ("tenet", "TENet6"),
    "tenet12_narrow": ("tenet", "TENet12Narrow"),
    "tenet6_narrow": ("tenet", "TENet6Narrow"),
    "hf_tenet12": ("tenet", "HFTENet12"),
}


class _Architectures(Mapping[str, Builder]):
    """Name -> builder(input_shape, classes, **options) -> uncompiled Keras model; loaded when asked for."""

    def __getitem__(self, name: str) -> Builder:
        module, function = _PLACES[name]
        builder: Builder = getattr(importlib.import_module(f"mltk.models.shared.{module}"), function)
        return builder

    def __iter__(self) -> Iterator[str]:
        return iter(_PLACES)

    def __len__(self) -> int:
        return len(_PLACES)


ARCHITECTURES: Mapping[str, Builder] = _Architectures()


def build(name: str, input_shape: Sequence[int], classes: int, **options: Any) -> Any:
    """Build an architecture.

    Args:
        name: one of `ARCHITECTURES`.
        input_shape: the features that the model takes: (frames, channels, 1) as the frontend gives them, or
            (frames, 1, channels).
        classes: number of classes.
        options: the architecture's own options; see its docstring.

    Returns:
        An uncompiled functional Keras model that gives posteriors [classes] float32 (softmax).

    Raises:
        ModelError: no architecture has this name or this option, or the shape does not fit it.

    """
    if name not in _PLACES:
        raise ModelError(
            f"There is no architecture {name!r}{suggestion(name, _PLACES)}; there are {', '.join(_PLACES)}"
        )
    builder = ARCHITECTURES[name]
    known = _option_names(builder)
    for option in options:
        if option not in known:
            raise ModelError(
                f"The architecture {name} has no option {option!r}{suggestion(option, known)}; it has "
                f"{', '.join(known)}"
            )
    return builder(input_shape, classes, **options)


def _option_names(builder: Builder) -> list[str]:
    """Return the names of a builder's options; a named TENet takes those of `TENet` too."""
    import inspect

    parameters = inspect.signature(builder).parameters.values()
    names = [one.name for one in parameters if one.kind is one.KEYWORD_ONLY]
    if any(one.kind is one.VAR_KEYWORD for one in parameters):
        from mltk.models.shared.tenet import TENet

        names += _option_names(TENet)
    return names
