"""Noise of a colour: the one generator that augmentation and synthetic data sets share."""

import numpy as np
from numpy.typing import NDArray

from mltk.utils.errors import AudioError
from mltk.utils.text import suggestion

# Power of the spectral density over frequency: S(f) ~ f ** exponent.
# Source: Kasdin, "Discrete simulation of colored noise", Proc. IEEE 83(5), 1995.
_EXPONENTS = {"white": 0.0, "pink": -1.0, "brown": -2.0, "blue": 1.0, "violet": 2.0}
_ALIASES = {"red": "brown", "purple": "violet"}

NOISE_COLORS = tuple(_EXPONENTS)
"""The colours' names; 'red' is taken for 'brown' and 'purple' for 'violet'."""

# Below this share of the sample rate (20 Hz at 16 kHz) the density stays flat: a 1/f^2 spectrum would
# otherwise put nearly all of its power into one slow swing whose size depends on the length of the noise.
_FLAT_BELOW = 20.0 / 16000.0


def noise_color(name: str) -> str:
    """Return the canonical name of a noise colour.

    Raises:
        AudioError: there is no such colour.

    """
    color = _ALIASES.get(str(name).lower(), str(name).lower())
    if color not in _EXPONENTS:
        known = ", ".join(NOISE_COLORS)
        raise AudioError(
            f"There is no noise colour {name!r}{suggestion(color, NOISE_COLORS)} (known: {known})"
        )
    return color


def colored_noise(n: int, color: str, rng: np.random.Generator) -> NDArray[np.float32]:
    """Make Gaussian noise of a colour by shaping white noise in the frequency domain.

    Args:
        n: number of samples, 0 or more.
        color: white, pink (-3 dB an octave), brown (-6 dB), blue (+3 dB) or violet (+6 dB).
        rng: the source of randomness; nothing else has a say in the result.

    Returns:
        float32 [n] with an RMS of 1 (peaks reach 4 and more: scale it) and, but for white, a mean of 0.

    Raises:
        AudioError: the colour is unknown or `n` is negative.

    """
    exponent = _EXPONENTS[noise_color(color)]
    if n < 0:
        raise AudioError(f"Noise can not have {n} samples: give 0 or more")
    noise = rng.standard_normal(n)
    if exponent != 0.0 and n > 1:
        spectrum = np.fft.rfft(noise)
        frequencies = np.fft.rfftfreq(n)
        gain = np.maximum(frequencies, max(_FLAT_BELOW, 1.0 / n)) ** (exponent / 2.0)
        gain[0] = 0.0
        noise = np.fft.irfft(spectrum * gain, n)
    rms = float(np.sqrt(np.mean(noise**2))) if n else 0.0
    return np.asarray(noise / rms if rms > 0.0 else noise, dtype=np.float32)
