"""Changing a voice: its speed, its pitch, and the length of its vocal tract."""

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
    window = np.hanning(n_fft + 1)[:-1]
    padded = np.pad(sample.astype(np.float64), (n_fft, n_fft + hop))
    starts = np.arange(0, len(padded) - n_fft + 1, hop)
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[starts] * window
    spectra = np.fft.rfft(frames, axis=1)
    envelope = _log_envelope(spectra, int(_ENVELOPE_QUEFRENCY_S * sample_rate_hz))
    bins = np.arange(n_fft // 2 + 1, dtype=np.float64)
    shares = bins / bins[-1]
    source = np.interp(shares, _warp(shares, alpha), bins)
    low = np.minimum(source.astype(np.int64), len(bins) - 2)
    part = source - low
    warped = envelope[:, low] * (1.0 - part) + envelope[:, low + 1] * part
    limit = _LARGEST_GAIN_DB / 20.0 * np.log(10.0)
    shaped = np.fft.irfft(spectra * np.exp(np.clip(warped - envelope, -limit, limit)), n_fft, axis=1) * window
    # Overlap-add hop by hop: window^2 at a quarter overlap sums to 1.5.
    result = np.zeros(len(padded) + n_fft)
    parts = result[: (len(starts) + 3) * hop].reshape(-1, hop)
    for quarter in range(4):
        parts[quarter : quarter + len(starts)] += shaped[:, quarter * hop : (quarter + 1) * hop]
    return np.asarray(result[n_fft : n_fft + len(sample)] / 1.5, dtype=np.float32)


def _log_envelope(spectra: NDArray[np.complex128], n_cepstrum: int) -> NDArray[np.float64]:
    """Return the smooth natural-log magnitude [frames, bins] of spectra, by keeping the first cepstral
    coefficients.
    """
    magnitude = np.abs(spectra)
    cepstrum = np.fft.irfft(np.log(magnitude + _QUIET), axis=1)
    lifter = np.zeros(cepstrum.shape[1])
    lifter[: n_cepstrum + 1] = 1.0
    lifter[len(lifter) - n_cepstrum :] = 1.0
    return np.asarray(np.fft.rfft(cepstrum * lifter, axis=1).real)
