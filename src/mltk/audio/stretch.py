"""Changing a voice: its speed, its pitch, and the length of its vocal tract."""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mltk.utils.errors import MissingExtraError

# Boundary frequency of the warp as a share of the Nyquist frequency: 4800 Hz at 16 kHz, above the formants
# that tell vowels apart. Source: Jaitly and Hinton, "Vocal Tract Length Perturbation (VTLP) improves speech
# recognition", 2013.
_WARP_BOUNDARY = 0.6

# The spectral envelope is what changes slower along frequency than the harmonics of a voice: cepstrum below 2
# ms (a voice of 500 Hz). Source: Oppenheim and Schafer, "Discrete-Time Signal Processing", homomorphic
# deconvolution.
_ENVELOPE_QUEFRENCY_S = 0.002
_FRAME_S = 0.030
# Frames over each sample. Of the sizes and overlaps that were compared (benchmarks/stretching.py) this keeps the harmonics
# of a voice purest; how near the formants come to where they should be is nearly the same for all.
_OVERLAP = 3
_LARGEST_GAIN_DB = 30.0
_QUIET = 1e-4

# The stretcher's block and how many of them overlap. The library's own preset, 120 ms and 4, is made for music. Words
# changed there and back, and a synthetic voice beside the same voice spoken at the changed speed and pitch, come out
# nearer to what they should be with a block of 64 ms (benchmarks/stretching.py), and 3 of those cost 0.6 times as much.
_STRETCH_BLOCK_S = 0.064
_STRETCH_OVERLAP = 3


def has_stretch_library() -> bool:
    """Tell whether speed and pitch can be changed here (the extra 'train' is installed)."""
    import importlib.util

    return importlib.util.find_spec("python_stretch") is not None


def stretch(
    sample: NDArray[np.float32], sample_rate_hz: int, speed: float, pitch: float, seed: int
) -> NDArray[np.float32]:
    """Change speed and pitch, each without the other (Signalsmith Stretch through python-stretch).

    Args:
        sample: float32 [n].
        sample_rate_hz: its rate in Hz.
        speed: above 1 is faster; the result has round(n / speed) samples.
        pitch: factor on all frequencies; above 1 is higher.
        seed: the library shakes its phases at random where it stretches much.

    Returns:
        float32, aligned with the input: what was at t is now at t / speed.

    Raises:
        MissingExtraError: python-stretch is not installed.

    """
    try:
        from python_stretch import Signalsmith
    except ImportError as error:
        raise MissingExtraError("train", "Changing speed or pitch (speed_range, pitch_range)") from error
    if sample.size == 0 or (speed == 1.0 and pitch == 1.0):
        return sample
    stretcher = Signalsmith.Stretch(seed)
    block = max(_STRETCH_OVERLAP, round(sample_rate_hz * _STRETCH_BLOCK_S))
    stretcher.configure(1, block, round(block / _STRETCH_OVERLAP))
    stretcher.setTimeFactor(speed)
    stretcher.setTransposeFactor(pitch)
    stretched = stretcher.process(np.ascontiguousarray(sample)[np.newaxis])
    return np.asarray(stretched, dtype=np.float32).reshape(-1)


def _warp(frequencies: NDArray[np.float64], alpha: float) -> NDArray[np.float64]:
    """Return where a factor moves frequencies (0 to 1, shares of Nyquist): the piecewise line of Jaitly and
    Hinton.
    """
    top = _WARP_BOUNDARY * min(alpha, 1.0)
    bend = top / alpha
    upper = 1.0 - (1.0 - top) / (1.0 - bend) * (1.0 - frequencies)
    return np.where(frequencies <= bend, alpha * frequencies, upper)


def warp_vocal_tract(sample: NDArray[np.float32], sample_rate_hz: int, alpha: float) -> NDArray[np.float32]:
    """Move the formants of a voice as another length of the vocal tract would; the pitch and the timing stay.

    The envelope of each short spectrum is warped along frequency, and the spectrum is multiplied by the ratio
    of the warped to the old envelope, so phases stay as they are.

    Args:
        sample: float32 [n].
        sample_rate_hz: its rate in Hz.
        alpha: above 1 moves formants up (a shorter tract); 0.5 to 2.

    Returns:
        float32 [n].

    """
    if sample.size == 0 or alpha == 1.0:
        return sample
    n_fft = 2 * _OVERLAP * max(1, round(sample_rate_hz * _FRAME_S / (2 * _OVERLAP)))
    n_cepstrum = int(_ENVELOPE_QUEFRENCY_S * sample_rate_hz)
    tables = _tables(n_fft, n_cepstrum)
    change = _envelope_change(n_fft, n_cepstrum, alpha)
    hop = n_fft // _OVERLAP
    lead = n_fft - hop  # every sample lies in so many frames
    padded = np.zeros(lead + len(sample) + n_fft, np.float32)
    padded[lead : lead + len(sample)] = sample
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::hop]
    result = np.zeros((len(frames) + _OVERLAP - 1) * hop, np.float32)
    parts = result.reshape(-1, hop)
    for first in range(0, len(frames), _FRAMES_AT_ONCE):
        spectra = np.fft.rfft(frames[first : first + _FRAMES_AT_ONCE] * tables.window, axis=1)
        spectra *= _gain(spectra, tables, change)
        shaped = np.fft.irfft(spectra, n_fft, axis=1)
        shaped *= tables.window
        for part in range(_OVERLAP):  # overlap-add hop by hop
            parts[first + part : first + part + len(shaped)] += shaped[:, part * hop : (part + 1) * hop]
    return result[lead : lead + len(sample)]


@dataclass(frozen=True, slots=True)
class _Tables:
    """What only the sizes decide.

    Attributes:
        window: half a sine, float32 [n_fft]; used twice, the squares of those over a sample sum to 1.
        analysis: log magnitudes -> the first cepstral coefficients: float32 [bins, n_cepstrum + 1].
        synthesis: those -> the smooth log envelope: float64 [n_cepstrum + 1, bins].

    """

    window: NDArray[np.float32]
    analysis: NDArray[np.float32]
    synthesis: NDArray[np.float64]


@functools.lru_cache(maxsize=4)
def _tables(n_fft: int, n_cepstrum: int) -> _Tables:
    bins = n_fft // 2 + 1
    cosines = np.cos(2 * np.pi / n_fft * (np.outer(np.arange(bins), np.arange(n_cepstrum + 1)) % n_fft))
    # A real spectrum counts its inner bins twice, and so does a real cepstrum its coefficients but the first.
    analysis = 2.0 * cosines / n_fft
    analysis[[0, -1]] /= 2.0
    synthesis = 2.0 * cosines.T
    synthesis[0] /= 2.0
    window = np.sqrt(2 / _OVERLAP) * np.sin(np.pi / n_fft * np.arange(n_fft))
    return _Tables(window.astype(np.float32), analysis.astype(np.float32), synthesis)


# So many frames stay in the processor's cache, and OpenBLAS computes their products in one thread: how many threads
# there are must not be seen in the last bits.
_FRAMES_AT_ONCE = 30


# As many as there are whole percents in the widest of usual ranges; 34 kB each.
@functools.lru_cache(maxsize=128)
def _envelope_change(n_fft: int, n_cepstrum: int, alpha: float) -> NDArray[np.float32]:
    """Return cepstral coefficients -> by how much the warp raises the log envelope: float32 [n_cepstrum + 1, bins]."""
    envelope = _tables(n_fft, n_cepstrum).synthesis
    bins = np.arange(envelope.shape[1], dtype=np.float64)
    shares = bins / bins[-1]
    source = np.interp(shares, _warp(shares, alpha), bins)
    low = np.minimum(source.astype(np.int64), len(bins) - 2)
    part = source - low
    warped = envelope[:, low] * (1.0 - part) + envelope[:, low + 1] * part
    return np.ascontiguousarray(warped - envelope, np.float32)


def _gain(spectra: NDArray[Any], tables: _Tables, change: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the ratio of the warped to the old envelope of each spectrum, within the limit: [frames, bins].

    The smooth envelope is a product of the log magnitudes with a matrix of rank n_cepstrum + 1; so is the
    warped one, and so their difference.
    """
    level = np.empty((_FRAMES_AT_ONCE, spectra.shape[1]), np.float32)
    np.abs(spectra, out=level[: len(spectra)], casting="same_kind")
    level[len(spectra) :] = 0.0  # the same product for every number of frames
    level += np.float32(_QUIET)
    np.log(level, out=level)
    raised = (level @ tables.analysis) @ change
    limit = np.float32(_LARGEST_GAIN_DB / 20.0 * np.log(10.0))
    np.maximum(raised, -limit, out=raised)
    np.minimum(raised, limit, out=raised)
    return np.exp(raised, out=raised)[: len(spectra)]
