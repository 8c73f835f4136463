"""Settings and clips for the frontend's tests: clips from integers only, so they are the same everywhere."""

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mltk.frontend.settings import AudioFeatureGeneratorSettings

SHARED = Path(os.environ.get("MLTK_SHARED_DIR", Path(__file__).parents[3] / "shared"))
SPEECH = Path(os.environ.get("MLTK_SPEECH_DIR", SHARED / "speech"))


def noise(n: int, seed: int, amplitude: int) -> NDArray[np.int16]:
    """White noise from an integer hash of the position: no random generator whose stream may change."""
    z = (np.arange(n, dtype=np.uint64) + np.uint64(1 + seed * 1_000_003)) * np.uint64(0x9E3779B9)
    z &= np.uint64(0xFFFFFFFF)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        z = ((z ^ (z >> np.uint64(shift))) * np.uint64(factor)) & np.uint64(0xFFFFFFFF)
    z ^= z >> np.uint64(16)
    return (z.astype(np.int64) % (2 * amplitude + 1) - amplitude).astype(np.int16)


def square(n: int, period: int, low: int = -32768, high: int = 32767) -> NDArray[np.int16]:
    """Full-scale square wave; an odd period has one more low sample than high ones."""
    return np.where(np.arange(n) % period < period // 2, high, low).astype(np.int16)


def triangle(n: int, period: int, amplitude: int) -> NDArray[np.int16]:
    """Triangle wave, integers only."""
    phase = np.arange(n, dtype=np.int64) % period
    return (2 * amplitude * np.abs(2 * phase - period) // period - amplitude).astype(np.int16)


def impulse(n: int, position: int, value: int) -> NDArray[np.int16]:
    """Silence but for one sample."""
    x = np.zeros(n, np.int16)
    x[position] = value
    return x


def bursts(n: int, seed: int) -> NDArray[np.int16]:
    """Soft noise with loud stretches and pauses of digital silence, on an offset."""
    x = noise(n, seed, 200).astype(np.int32) + 350
    part = max(n // 8, 1)
    x[part : 2 * part] += noise(part, seed + 1, 20000)
    x[3 * part : 4 * part] = 0
    x[5 * part : 6 * part] += triangle(part, 37, 12000)
    return np.clip(x, -32768, 32767).astype(np.int16)


def make_clip(kind: int, n: int, seed: int) -> NDArray[np.int16]:
    """Clip number `kind` (0 to 11) of `n` samples."""
    makers = (
        lambda: np.zeros(n, np.int16),
        lambda: noise(n, seed, 32767),
        lambda: noise(n, seed, 1 + seed % 400),
        lambda: square(n, 2 + seed % 60),
        lambda: square(n, 100 + seed % 900),
        lambda: impulse(n, seed * 7919 % n, 32767),
        lambda: impulse(n, seed * 104729 % n, -32768),
        lambda: np.full(n, -32768, np.int16),
        lambda: np.full(n, 32767, np.int16),
        lambda: triangle(n, 3 + seed % 200, 30000),
        lambda: bursts(n, seed),
        lambda: square(n, 2 + seed % 9, -1, 1),
    )
    return np.asarray(makers[kind % len(makers)]())


N_CLIPS = 12


def random_blocks(
    s: AudioFeatureGeneratorSettings, rng: np.random.Generator
) -> AudioFeatureGeneratorSettings:
    """Switch on, at random, the blocks that TensorFlow's op lacks."""
    s.dc_notch_filter_enable = bool(rng.random() < 0.5)
    s.dc_notch_filter_coefficient = float(rng.uniform(0, 0.999))
    s.activity_detection_enable = bool(rng.random() < 0.7)
    s.activity_detection_alpha_a = float(rng.uniform(0, 1))
    s.activity_detection_alpha_b = float(rng.uniform(0, 1))
    s.activity_detection_arm_threshold = float(rng.uniform(0.3, 1.2))
    s.activity_detection_trip_threshold = float(rng.uniform(0.3, 1.5))
    s.quantize_dynamic_scale_enable = bool(rng.random() < 0.5)
    s.quantize_dynamic_scale_range_db = float(rng.uniform(0, 90))
    return s


def random_settings(rng: np.random.Generator, length_ms: int = 400) -> AudioFeatureGeneratorSettings:
    """Return legal settings that TensorFlow's op takes too (its upper band limit is below half the rate)."""
    s = AudioFeatureGeneratorSettings()
    s.sample_rate_hz = int(rng.choice([8000, 11025, 16000, 16000, 16000, 22050, 32000, 44100, 48000]))
    s.window_size_ms = int(rng.choice([1, 2, 4, 5, 8, 10, 16, 20, 25, 30, 30, 32, 40, 64, 100]))
    s.window_step_ms = int(rng.integers(1, s.window_size_ms + 1))
    s.sample_length_ms = max(length_ms, s.window_size_ms)
    most = min(s.fft_length // 2, 120)
    s.filterbank_n_channels = int(rng.integers(1, most + 1))
    nyquist = s.sample_rate_hz / 2
    s.filterbank_upper_band_limit = float(rng.uniform(0.3, 0.99) * nyquist)
    s.filterbank_lower_band_limit = float(rng.uniform(0.0, 0.8) ** 2 * s.filterbank_upper_band_limit)
    s.noise_reduction_enable = bool(rng.random() < 0.75)
    s.noise_reduction_smoothing_bits = int(rng.integers(9, 13))
    s.noise_reduction_even_smoothing = float(rng.choice([0.025, rng.uniform(0, 1)]))
    s.noise_reduction_odd_smoothing = float(rng.choice([0.06, rng.uniform(0, 1)]))
    s.noise_reduction_min_signal_remaining = float(rng.choice([0.05, 0.4, rng.uniform(0, 1)]))
    s.pcan_enable = bool(rng.random() < 0.6)
    s.pcan_strength = float(rng.choice([0.95, rng.uniform(0, 2)]))
    s.pcan_offset = float(rng.choice([80.0, rng.uniform(0, 300)]))
    correction_bits = s.fft_length.bit_length() - 7
    s.pcan_gain_bits = int(rng.choice([21, rng.integers(max(12 + correction_bits, 0), 32)]))
    s.log_scale_enable = bool(rng.random() < 0.8)
    s.log_scale_shift = int(rng.integers(0, 13))
    s.validate()
    return s
