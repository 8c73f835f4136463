"""Coloured noise: slopes, level, and that nothing but the generator decides it."""

import numpy as np
import pytest

from mltk.audio.noise import NOISE_COLORS, colored_noise
from mltk.utils.errors import AudioError

# dB per octave by definition of the colours.
SLOPES_DB = {"white": 0.0, "pink": -3.01, "brown": -6.02, "blue": 3.01, "violet": 6.02}


def _octave_slope_db(x, low, high):
    """Least-squares slope of an averaged periodogram between two frequencies (shares of the sample rate)."""
    frames = x[: len(x) // 1024 * 1024].reshape(-1, 1024) * np.hanning(1024)
    power = (np.abs(np.fft.rfft(frames, axis=1)) ** 2).mean(axis=0)
    f = np.fft.rfftfreq(1024)
    keep = (f >= low) & (f <= high)
    return np.polyfit(np.log2(f[keep]), 10 * np.log10(power[keep]), 1)[0]


@pytest.mark.parametrize("color", NOISE_COLORS)
def test_slope_and_level(color):
    x = colored_noise(1 << 18, color, np.random.default_rng(7))
    assert x.dtype == np.float32
    assert x.shape == (1 << 18,)
    assert np.sqrt(np.mean(x.astype(np.float64) ** 2)) == pytest.approx(1.0, abs=1e-4)
    assert _octave_slope_db(x, 0.01, 0.4) == pytest.approx(SLOPES_DB[color], abs=0.35)


def test_same_seed_same_noise_and_aliases():
    a = colored_noise(1000, "brown", np.random.default_rng(3))
    np.testing.assert_array_equal(a, colored_noise(1000, "RED", np.random.default_rng(3)))
    assert (a != colored_noise(1000, "brown", np.random.default_rng(4))).any()


@pytest.mark.parametrize("n", [0, 1, 2, 3])
@pytest.mark.parametrize("color", NOISE_COLORS)
def test_tiny_lengths(n, color):
    x = colored_noise(n, color, np.random.default_rng(0))
    assert x.shape == (n,)
    assert np.isfinite(x).all()


def test_refusals():
    with pytest.raises(AudioError, match=r"no noise colour 'pinc', did you mean \"pink\""):
        colored_noise(8, "pinc", np.random.default_rng(0))
    with pytest.raises(AudioError, match="-1 samples"):
        colored_noise(-1, "white", np.random.default_rng(0))
