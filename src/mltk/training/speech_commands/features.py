"""Clips to spectrograms: the three kinds that `--preprocess` names, as real numbers and as int8.

Sources: for "average" the READMEs of TensorFlow Lite Micro's speech example; for it and "mfcc" TensorFlow's ops
AudioSpectrogram (periodic Hann window, squared magnitudes) and Mfcc (40 triangular mel filters of 20 to 4000 Hz on the
magnitudes, logarithm, DCT II), with which the tests compare them. "micro" is `mltk.frontend`.
"""

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from mltk.frontend.generator import AudioFeatureGenerator
from mltk.training.speech_commands.settings import FEATURE_RANGES, FeatureSettings

MICRO_SCALE = 10 / 256
"""A feature of "micro" as a real number, of the frontend's uint16."""

_MFCC_FILTERS = 40
_MFCC_BAND_HZ = (20.0, 4000.0)
_MFCC_FLOOR = 1e-12


def compute_features(samples: npt.NDArray[np.int16], settings: FeatureSettings) -> npt.NDArray[Any]:
    """Return the spectrograms of clips as a net takes them.

    Args:
        samples: int16 [n, settings.clip_length].
        settings: how to compute them.

    Returns:
        [n, frames, width]: int8 with `quantize`, else float32.

    """
    if settings.preprocess == "micro":
        generator = _frontend(settings)
        if settings.quantize:
            return generator.process_batch(samples, np.int8)
        return generator.process_batch(samples, np.float32) * np.float32(MICRO_SCALE)
    power = _power_spectrum(samples, settings)
    real = _means(power, settings) if settings.preprocess == "average" else _mfcc(power, settings)
    return quantized(real, settings) if settings.quantize else real.astype(np.float32)


def quantized(real: npt.NDArray[np.floating[Any]], settings: FeatureSettings) -> npt.NDArray[np.int8]:
    """Return real features as int8: -128 is the lowest value of the range, 127 the highest."""
    low, _ = FEATURE_RANGES[settings.preprocess]
    steps = np.floor((real.astype(np.float64) - low) / settings.scale + 0.5)
    return (np.clip(steps, 0, 255) - 128).astype(np.int8)


def fit_length(samples: npt.NDArray[Any], length: int) -> npt.NDArray[Any]:
    """Return 1-D samples cut, or filled up with zeros, at their end."""
    return np.pad(samples[:length], (0, max(0, length - len(samples))))


@lru_cache(maxsize=4)
def _frontend(settings: FeatureSettings) -> AudioFeatureGenerator:
    return AudioFeatureGenerator(settings.frontend_settings)


def _power_spectrum(samples: npt.NDArray[np.int16], settings: FeatureSettings) -> npt.NDArray[np.float64]:
    """Return the squared magnitudes [n, frames, bins] of windows of samples in [-1, 1)."""
    length = settings.window_length
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
    windows = np.lib.stride_tricks.sliding_window_view(samples, length, axis=1)[:, :: settings.stride]
    spectrum = np.fft.rfft(windows / 32768 * window, settings.fft_length)
    return np.asarray(spectrum.real**2 + spectrum.imag**2)


def _means(power: npt.NDArray[np.float64], settings: FeatureSettings) -> npt.NDArray[np.float64]:
    """Return the means of neighbouring bins; the last one is of those that are left."""
    starts = np.arange(0, power.shape[-1], settings.bins_a_mean)
    counts = np.diff(np.append(starts, power.shape[-1]))
    return np.asarray(np.add.reduceat(power, starts, axis=-1) / counts)


def _mfcc(power: npt.NDArray[np.float64], settings: FeatureSettings) -> npt.NDArray[np.float64]:
    """Return the cepstral coefficients [n, frames, feature_bin_count]; those beyond the filters are 0."""
    energies = np.sqrt(power) @ _mel_filters(settings.n_bins, settings.sample_rate)
    logarithms = np.log(np.maximum(energies, _MFCC_FLOOR))
    n_kept = min(settings.feature_bin_count, _MFCC_FILTERS)
    angles = np.outer(np.arange(_MFCC_FILTERS) + 0.5, np.arange(n_kept)) * np.pi / _MFCC_FILTERS
    coefficients = logarithms @ (np.cos(angles) * np.sqrt(2 / _MFCC_FILTERS))
    missing = settings.feature_bin_count - n_kept
    return np.pad(coefficients, [(0, 0)] * (coefficients.ndim - 1) + [(0, missing)])


@lru_cache(maxsize=4)
def _mel_filters(n_bins: int, sample_rate: int) -> npt.NDArray[np.float64]:
    """Return the weights [bins, filters] of the triangular filters, evenly spaced on the mel scale."""
    low_hz, high_hz = _MFCC_BAND_HZ
    hz_a_bin = 0.5 * sample_rate / (n_bins - 1)
    corners = np.linspace(_mel(low_hz), _mel(high_hz), _MFCC_FILTERS + 2)
    bins = np.arange(n_bins)
    mel = _mel(bins * hz_a_bin)[:, None]
    spacing = corners[1] - corners[0]
    weights = np.clip(1 - np.abs(mel - corners[None, 1:-1]) / spacing, 0, None)
    # The op counts whole bins: the lowest one is rounded up, the highest one down.
    inside = (bins >= int(1.5 + low_hz / hz_a_bin)) & (bins <= int(high_hz / hz_a_bin))
    return np.asarray(weights * inside[:, None])


def _mel(hz: Any) -> Any:
    return 1127.0 * np.log1p(np.asarray(hz) / 700.0)
