"""Clips of one length: silence trimmed from the ends, then cropped or padded."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mltk.audio.convert import require_clip, to_float32
from mltk.utils.errors import AudioError

# The frames of librosa.effects.trim, which specifications were tuned with: the same threshold must mean the
# same here. Source: librosa's documentation (frame_length=2048, hop_length=512, centred, zero padding).
_FRAME = 2048
_HOP = 512
_SMALLEST_RMS = 1e-5


def _frame_levels_db(clip: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return each centred frame's RMS in dB below the loudest frame's; frames [1 + len // hop]."""
    n_frames = 1 + len(clip) // _HOP
    power = np.zeros((n_frames + _FRAME // _HOP - 1) * _HOP)
    power[_FRAME // 2 : _FRAME // 2 + len(clip)] = np.square(clip, dtype=np.float64)[
        : len(power) - _FRAME // 2
    ]
    # A frame is exactly four hops long, so each hop is summed once and not four times.
    hops = power.reshape(-1, _HOP).sum(axis=1)
    frames = np.convolve(hops, np.ones(_FRAME // _HOP), mode="valid") / _FRAME
    level = 10.0 * np.log10(np.maximum(frames, _SMALLEST_RMS**2))
    return np.asarray(level - level.max())


def trim_silence(x: ArrayLike, threshold_db: float) -> NDArray[np.float32] | NDArray[np.int16]:
    """Cut the quiet ends off a clip.

    A frame (2048 samples, every 512) is quiet when its RMS is `threshold_db` or more below that of the
    loudest frame; an RMS below -100 dB of full scale counts as -100 dB. A clip of digital silence stays as it
    is. This is the rule of librosa.effects.trim(x, top_db=threshold_db).

    Args:
        x: 1-D float32 in [-1, 1], or int16.
        threshold_db: above 0, in dB.

    Returns:
        The part between the first and the last loud frame (a view), the same dtype.

    Raises:
        AudioError: the threshold is not above 0, or `x` is not a mono clip.

    """
    clip = require_clip(x)
    return clip[loud_part(clip, threshold_db)]


def loud_part(clip: NDArray[Any], threshold_db: float) -> slice:
    """Tell which part of a clip `trim_silence` leaves.

    Args:
        clip: 1-D float32 in [-1, 1], or int16.
        threshold_db: above 0, in dB.

    Raises:
        AudioError: the threshold is not above 0.

    """
    if not threshold_db > 0:
        raise AudioError(f"The trim threshold must be above 0 dB, not {threshold_db}")
    if clip.size == 0:
        return slice(0, 0)
    loud = np.flatnonzero(_frame_levels_db(to_float32(clip)) > -threshold_db)
    return slice(int(loud[0]) * _HOP, min(len(clip), (int(loud[-1]) + 1) * _HOP))


def adjust_length(
    sample: ArrayLike, out_length: int, trim_threshold_db: float | None = None, offset: float = 0.0
) -> NDArray[np.float32] | NDArray[np.int16]:
    """Trim a clip's quiet ends, then crop or zero-pad it to a length.

    Args:
        sample: 1-D float32 in [-1, 1], or int16.
        out_length: samples wanted.
        trim_threshold_db: see `trim_silence`; None keeps the ends.
        offset: 0 to 1. A short clip starts after this share of the free room (0: at the start, 1: at the
            end); of a long clip, this share of the surplus is cut from its start and the rest from its end.

    Returns:
        A new array [out_length] of the same dtype.

    Raises:
        AudioError: an argument is out of range, or `sample` is not a mono clip.

    """
    clip = require_clip(sample)
    if out_length < 0:
        raise AudioError(f"A clip can not have {out_length} samples: give 0 or more")
    if not 0.0 <= offset <= 1.0:
        raise AudioError(f"The offset must be between 0 (start) and 1 (end), not {offset}")
    if trim_threshold_db is not None:
        clip = trim_silence(clip, trim_threshold_db)
    if len(clip) >= out_length:
        start = int((len(clip) - out_length) * offset)
        return clip[start : start + out_length].copy()
    start = int((out_length - len(clip)) * offset)
    padded = np.zeros(out_length, dtype=clip.dtype)
    padded[start : start + len(clip)] = clip
    return padded
