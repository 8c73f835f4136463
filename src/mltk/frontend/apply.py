"""The frontend as one function."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mltk.frontend.generator import AudioFeatureGenerator
from mltk.frontend.settings import AudioFeatureGeneratorSettings


def apply_frontend(
    sample: NDArray[Any], settings: AudioFeatureGeneratorSettings, dtype: DTypeLike = np.float32
) -> NDArray[Any]:
    """Compute the features of one clip.

    For many clips make one `AudioFeatureGenerator` and keep it: it computes its tables once.

    Args:
        sample: int16, or float32 in [-1, 1], [samples] or [samples, 1]; exactly
            `settings.sample_length` samples.
        settings: the frontend's settings.
        dtype: int8, uint16 or float32.

    Returns:
        `dtype` [frames, channels].

    Raises:
        FrontendError: a setting is illegal, the sample does not fit the settings, or `dtype` is none of the
            three.
        AudioError: the sample holds NaN or infinity.

    """
    if isinstance(sample, np.ndarray) and sample.ndim == 2 and sample.shape[1] == 1:
        sample = sample[:, 0]
    return AudioFeatureGenerator(settings).process_sample(sample, dtype)
