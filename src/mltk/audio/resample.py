"""Sample-rate conversion with soxr."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mltk.audio.convert import require_clip, to_float32, to_int16
from mltk.utils.errors import AudioError

# soxr's 'HQ' keeps 20 bits: better than the 16 bits that the frontend sees. Source: the soxr manual.
QUALITY = "HQ"

MAX_FRAMES = 1 << 28
"""The longest clip held in memory: 1 GiB as float32, 4.6 hours at 16 kHz. Longer audio is streamed."""


def resample(x: ArrayLike, orig_sr: float, target_sr: float) -> NDArray[np.float32] | NDArray[np.int16]:
    """Convert a clip to another sample rate (band-limited; above the new Nyquist frequency nothing is left).

    Args:
        x: 1-D float32 in [-1, 1], or int16.
        orig_sr: the clip's rate in Hz.
        target_sr: the wanted rate in Hz.

    Returns:
        1-D of the same dtype (int16 saturates), about len(x) * target_sr / orig_sr samples. Equal rates give
        `x` itself.

    Raises:
        AudioError: a rate is not above 0, the result would be too long for memory, or `x` is not a mono clip.

    """
    clip = require_clip(x)
    if not (0 < orig_sr < float("inf") and 0 < target_sr < float("inf")):
        raise AudioError(f"Sample rates must be above 0 Hz, not {orig_sr} and {target_sr}")
    if orig_sr == target_sr or clip.size == 0:
        return clip
    if len(clip) * (target_sr / orig_sr) > MAX_FRAMES:
        raise AudioError(
            f"{len(clip)} samples at {orig_sr} Hz are too long to hold at {target_sr} Hz: cut the clip"
        )
    import soxr

    converted = soxr.resample(to_float32(clip), orig_sr, target_sr, quality=QUALITY)
    return to_int16(converted) if clip.dtype == np.int16 else np.asarray(converted, dtype=np.float32)
