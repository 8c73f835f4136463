"""Changing a voice: its speed, its pitch, and the length of its vocal tract."""

import functools
from dataclasses import dataclass

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
_LARGEST_GAIN_DB = 30.0
_QUIET = 1e-4


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
    stretcher.preset(1, sample_rate_hz)
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
    n_fft = 1 << int(np.ceil(np.log2(sample_rate_hz * _FRAME_S)))
    hop = n_fft // 4
    tables = _tables(n_fft, int(_ENVELOPE_QUEFRENCY_S * sample_rate_hz))
    window = tables.window
    padded = np.zeros(len(sample) + 2 * n_fft + hop)
    padded[n_fft : n_fft + len(sample)] = sample
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::hop]
    change = _envelope_change(tables, alpha)
    # Overlap-add hop by hop: window^2 at a quarter overlap sums to 1.5.
    result = np.zeros((len(frames) + 3) * hop)
    parts = result.reshape(-1, hop)
    for first in range(0, len(frames), _FRAMES_AT_ONCE):
        spectra = np.fft.rfft(frames[first : first + _FRAMES_AT_ONCE] * window, axis=1)
        spectra *= _gain(spectra, tables, change)
        shaped = np.fft.irfft(spectra, n_fft, axis=1)
        shaped *= window
        for quarter in range(4):
            parts[first + quarter : first + quarter + len(shaped)] += shaped[
                :, quarter * hop : (quarter + 1) * hop
            ]
    return np.asarray(result[n_fft : n_fft + len(sample)] / 1.5, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class _Tables:
    """What only the sizes decide.

    Attributes:
        window: float64 [n_fft].
        analysis: log magnitudes -> the first cepstral coefficients: float64 [bins, n_cepstrum + 1].
        synthesis: those -> the smooth log envelope: float64 [n_cepstrum + 1, bins].

    """

    window: NDArray[np.float64]
    analysis: NDArray[np.float64]
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
    return _Tables(np.hanning(n_fft + 1)[:-1], analysis, synthesis)


# So many frames stay in the processor's cache, and OpenBLAS computes their products in one thread: how many threads
# there are must not be seen in the last bits.
_FRAMES_AT_ONCE = 16


def _envelope_change(tables: _Tables, alpha: float) -> NDArray[np.float64]:
    """Return cepstral coefficients -> by how much the warp raises the log envelope: float64 [n_cepstrum + 1, bins]."""
    envelope = tables.synthesis
    bins = np.arange(envelope.shape[1], dtype=np.float64)
    shares = bins / bins[-1]
    source = np.interp(shares, _warp(shares, alpha), bins)
    low = np.minimum(source.astype(np.int64), len(bins) - 2)
    part = source - low
    return np.ascontiguousarray(envelope[:, low] * (1.0 - part) + envelope[:, low + 1] * part - envelope)


def _gain(
    spectra: NDArray[np.complex128], tables: _Tables, change: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the ratio of the warped to the old envelope of each spectrum, within the limit: [frames, bins].

    The smooth envelope is a product of the log magnitudes with a matrix of rank n_cepstrum + 1; so is the
    warped one, and so their difference.
    """
    level = np.abs(spectra)
    level += _QUIET
    np.log(level, out=level)
    if len(level) < _FRAMES_AT_ONCE:  # the same product for every number of frames
        level = np.concatenate((level, np.zeros((_FRAMES_AT_ONCE - len(level), level.shape[1]))))
    raised = (level @ tables.analysis) @ change
    limit = _LARGEST_GAIN_DB / 20.0 * np.log(10.0)
    np.clip(raised, -limit, limit, out=raised)
    return np.exp(raised, out=raised)[: len(spectra)]
