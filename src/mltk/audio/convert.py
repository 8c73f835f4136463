"""Samples as numbers: int16 and float32, saturating."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mltk.utils.errors import AudioError

FULL_SCALE = 32768.0
"""The int16 value of an amplitude of 1.0; +1.0 itself saturates at 32767."""


def require_finite(x: NDArray[np.floating], what: str = "The sample") -> None:
    """Refuse NaN and infinity.

    Raises:
        AudioError: a value is not a finite number.

    """
    if not np.isfinite(x).all():
        first = int(np.flatnonzero(~np.isfinite(x).reshape(-1))[0])
        raise AudioError(
            f"{what} holds {x.reshape(-1)[first]} at position {first}: only finite numbers are audio"
        )


def to_int16(x: ArrayLike) -> NDArray[np.int16]:
    """Convert samples to int16: times 32768, rounded to the nearest (ties to even), saturating.

    Args:
        x: float32/float64 in [-1, 1] (beyond is clipped), or int16, which passes unchanged; any shape.

    Returns:
        int16, the same shape. Values that came from int16 files come back bit for bit.

    Raises:
        AudioError: another dtype, NaN or infinity.

    """
    samples = np.asarray(x)
    if samples.dtype == np.int16:
        return samples
    if samples.dtype not in (np.float32, np.float64):
        raise AudioError(f"Samples must be float32 or int16, not {samples.dtype}")
    require_finite(samples)
    scaled = np.empty_like(samples)
    np.clip(samples, -1.0, 1.0, out=scaled)
    scaled *= samples.dtype.type(FULL_SCALE)
    np.rint(scaled, out=scaled)
    np.minimum(scaled, samples.dtype.type(FULL_SCALE - 1), out=scaled)
    return scaled.astype(np.int16)


def to_float32(x: ArrayLike) -> NDArray[np.float32]:
    """Convert samples to float32 where 1.0 is full scale.

    Args:
        x: int16 (divided by 32768), float64 (rounded) or float32 (passes unchanged); any shape.

    Returns:
        float32, the same shape.

    Raises:
        AudioError: another dtype, NaN or infinity.

    """
    samples = np.asarray(x)
    if samples.dtype == np.int16:
        converted = samples.astype(np.float32)
        converted *= np.float32(1.0 / FULL_SCALE)  # a power of two: exact
        return converted
    if samples.dtype not in (np.float32, np.float64):
        raise AudioError(f"Samples must be float32 or int16, not {samples.dtype}")
    require_finite(samples)
    return samples.astype(np.float32, copy=False)


def require_clip(x: ArrayLike) -> NDArray[np.float32] | NDArray[np.int16]:
    """Check that `x` is one mono clip and return it as an array of its own kind.

    Args:
        x: 1-D int16, float32 or float64 (which becomes float32).

    Returns:
        1-D float32 or int16.

    Raises:
        AudioError: another rank or dtype, NaN or infinity.

    """
    samples = np.asarray(x)
    if samples.ndim != 1:
        raise AudioError(
            f"A clip is one row of samples, but this array is {samples.shape}: mix it to mono first"
        )
    return samples if samples.dtype == np.int16 else to_float32(samples)


def mix_to_mono(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mix channels to one: their mean, so that nothing can clip.

    Args:
        x: float32 [frames, channels] or [frames].

    Returns:
        float32 [frames].

    """
    if x.ndim == 1:
        return x
    return x[:, 0] if x.shape[1] == 1 else x.mean(axis=1, dtype=np.float32)
