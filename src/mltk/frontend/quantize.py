"""uint16 features to the int8 that a quantized model takes."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mltk.frontend.native import native_settings
from mltk.frontend.settings import AudioFeatureGeneratorSettings
from mltk.native._frontend import quantize
from mltk.utils.errors import FrontendError


def to_int8(features: NDArray[np.uint16], settings: AudioFeatureGeneratorSettings) -> NDArray[np.int8]:
    """Scale features to int8 as the settings say.

    Without `quantize_dynamic_scale_enable` each value by itself: `(v * 256 + 333) // 666 - 128`, clamped.
    With it over the whole spectrogram: its maximum becomes 127, and -128 what lies
    `quantize_dynamic_scale_range_db` or more below.

    Args:
        features: uint16 [frames, channels], or a batch [n, frames, channels] of which each
            spectrogram is scaled alone.
        settings: the frontend's settings.

    Returns:
        int8, the same shape.

    Raises:
        FrontendError: the features have another dtype or rank, or a setting is illegal.

    Source: the project's reference page on the frontend (int8 output).

    """
    if not isinstance(features, np.ndarray) or features.dtype != np.uint16 or features.ndim not in (2, 3):
        raise FrontendError(
            f"Features must be uint16 [frames, channels] or [n, frames, channels], not {describe(features)}"
        )
    return scale_to_int8(features, native_settings(settings))


def scale_to_int8(features: NDArray[np.uint16], native: Any) -> NDArray[np.int8]:
    """Do `to_int8` with the C core's settings, for callers that keep them."""
    output = np.empty(features.shape, np.int8)
    spectrograms = (1 if features.ndim == 2 else len(features), math.prod(features.shape[-2:]))
    source = np.ascontiguousarray(features)
    quantize(native, source.reshape(spectrograms), output.reshape(spectrograms))
    return output


def describe(array: object) -> str:
    """Return an array's dtype and shape, or the type of what is no array, for an error's sentence."""
    if isinstance(array, np.ndarray):
        return f"{array.dtype} [{', '.join(map(str, array.shape))}]"
    return type(array).__name__
