"""Features that calculate as in numpy 1, for specifications that were written then.

`features + 128` of int8 features gave int16 in numpy 1; numpy 2 refuses it, since 128 is no int8 (NEP 50). Only what the
historical path `mltk.core.preprocess.utils.audio.apply_frontend` returns is of this kind.
"""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mltk.frontend.apply import apply_frontend as apply_plain
from mltk.frontend.settings import AudioFeatureGeneratorSettings


class IntegerFeatures(np.ndarray[Any, Any]):
    """An integer array that takes a Python number beyond its dtype's range for one of the dtype that the number needs.

    Results of calculations are plain arrays, and so is what `np.asarray` gives; parts and other shapes of it are
    of this kind.
    """

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **options: Any) -> Any:
        """Calculate with plain arrays (called by numpy)."""
        if out is not None:
            options["out"] = tuple(_plain(array) for array in out)
        dtype = self.dtype
        result = getattr(ufunc, method)(*(_fitting(value, dtype) for value in inputs), **options)
        return out[0] if out is not None and len(out) == 1 else result


def apply_frontend(
    sample: NDArray[Any], settings: AudioFeatureGeneratorSettings, dtype: DTypeLike = np.float32
) -> NDArray[Any]:
    """Turn a clip into features (historical MLTK function): see `mltk.frontend.apply.apply_frontend`.

    Returns:
        The same values [frames, channels]; int8 and uint16 ones as `IntegerFeatures`.

    """
    features = apply_plain(sample, settings, dtype)
    return features.view(IntegerFeatures) if features.dtype.kind in "iu" else features


def _plain(array: Any) -> Any:
    return array.view(np.ndarray) if isinstance(array, IntegerFeatures) else array


def _fitting(value: Any, dtype: np.dtype[Any]) -> Any:
    if type(value) is int and not np.iinfo(dtype).min <= value <= np.iinfo(dtype).max:
        return np.array(value, np.min_scalar_type(value))
    return _plain(value)
