"""Random frequency responses: the same word through another microphone in another room."""

import numpy as np
from numpy.typing import NDArray

LOWEST_HZ = 100.0
BANDS = 8


def equalize(
    clip: NDArray[np.float32], sample_rate_hz: int, depth_db: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Filter a clip with a random smooth frequency response.

    The response is drawn at 8 frequencies, evenly spaced in octaves from 100 Hz to half the sample rate, and
    linear in decibels and octaves between them. It has zero phase: nothing moves in time.

    Args:
        clip: float32 [n].
        sample_rate_hz: its rate in Hz.
        depth_db: the response lies within +/- this many decibels.
        rng: 8 numbers are drawn from it.

    Returns:
        float32 [n]; not clipped.

    """
    gains_db = rng.uniform(-depth_db, depth_db, BANDS)
    if not len(clip):
        return clip
    # Twice the length: what the filter smears over the end shall not come in at the beginning.
    size = 2 * len(clip)
    frequencies_hz = np.fft.rfftfreq(size, 1.0 / sample_rate_hz)
    octaves = np.log2(np.maximum(frequencies_hz, LOWEST_HZ))
    nodes = np.linspace(np.log2(LOWEST_HZ), np.log2(sample_rate_hz / 2), BANDS)
    response = 10.0 ** (np.interp(octaves, nodes, gains_db) / 20.0)
    filtered = np.fft.irfft(np.fft.rfft(clip, size) * response, size)[: len(clip)]
    return np.asarray(filtered, np.float32)
