"""What changing speed, pitch and vocal tract does to speech, for several sizes of their short spectra.

    python benchmarks/stretching.py

Distances are mean differences of log filterbank features (49x40, no noise reduction, no PCAN; 64 are a factor of e) where
either is within 30 dB of the loudest: of real words changed and changed back to what they were, and of a synthetic voice
(harmonics under moving formants, and a burst of noise) to the same voice made at the changed speed, pitch or tract.
Purity: the share of a pulse train's energy that is at its harmonics after the formants were moved. Less distance and more
purity are better; the times are the least CPU time of 0.7 s of sound.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from real_words import speech_dir

from mltk.audio import stretch as stretching
from mltk.audio.convert import to_int16
from mltk.audio.read import read_audio_file
from mltk.frontend.generator import AudioFeatureGenerator
from mltk.frontend.settings import AudioFeatureGeneratorSettings

RATE = 16000
CHANGES = (
    (0.6, 1),
    (0.8, 1),
    (1.3, 1),
    (1.8, 1),
    (1, 0.7),
    (1, 0.85),
    (1, 1.2),
    (1, 1.4),
    (0.7, 1.3),
    (1.6, 0.8),
)
BLOCKS = (
    (0.120, 4),
    (0.064, 2.5),
    (0.064, 3),
    (0.064, 4),
    (0.048, 3),
)  # seconds, overlap; the library's preset first
FRAMES = ((0.032, 4), (0.032, 2), (0.030, 3), (0.024, 3))
TRACTS = (0.7, 0.85, 0.95, 1.05, 1.2, 1.4)
Samples = NDArray[np.float32]

_generator = AudioFeatureGenerator(
    AudioFeatureGeneratorSettings(sample_length_ms=1000, window_size_ms=30, window_step_ms=20)
)


def features(x: Samples) -> NDArray[np.float64]:
    clip = np.zeros(RATE, np.float32)
    clip[: min(RATE, len(x))] = x[:RATE]
    return _generator.process_sample(to_int16(clip), np.uint16).astype(np.float64)


def distance(a: Samples, b: Samples) -> float:
    first, second = features(a), features(b)
    louder = np.maximum(first, second)
    return float(np.abs(first - second)[louder > louder.max() - 64 * 3.5].mean())


def voice(seed: int, speed: float = 1.0, pitch: float = 1.0, tract: float = 1.0) -> Samples:
    """Return a second of a voice, as it were said at another speed, pitch (formants too) or by another tract."""
    rng = np.random.default_rng(seed)
    n = int(RATE / speed)
    t = np.arange(n) / RATE * speed
    points = np.linspace(0, 1, 5)
    tone = np.interp(t, points, rng.uniform(90, 250) * rng.uniform(0.85, 1.15, 5)) * pitch
    phase = 2 * np.pi * np.cumsum(tone) / RATE
    limits = ((300, 800), (900, 2200), (2300, 3000))
    formants = [np.interp(t, points, rng.uniform(*limit, 5)) * pitch * tract for limit in limits]
    x = np.zeros(n)
    for harmonic in range(1, 60):
        f = tone * harmonic
        level = sum(
            gain / (1 + ((f - centre) / width / tract) ** 2)
            for centre, width, gain in zip(formants, (80, 110, 160), (1, 0.5, 0.25), strict=True)
        )
        x += np.where(f < 7600, level, 0) * np.cos(harmonic * phase + 0.3 * harmonic**2)
    x *= 0.1 * np.interp(
        t, [0, 0.1, 0.13, 0.4, 0.45, 0.5, 0.53, 0.85, 0.95, 1], [0, 0, 1, 1, 0, 0, 1, 1, 0, 0]
    )
    burst = np.interp(t, [0, 0.447, 0.45, 0.47, 0.5, 1], [0, 0, 1, 0.2, 0, 0])
    x += 0.05 * burst * rng.standard_normal(2 * RATE)[:n]
    return x.astype(np.float32)


def cpu_ms(function: Callable[[], Any]) -> float:
    function()
    least = np.inf
    for _ in range(50):
        started = time.thread_time()
        function()
        least = min(least, time.thread_time() - started)
    return 1000 * float(least)


def compare_blocks(words: list[Samples]) -> None:
    print("| block, overlap | there and back | synthetic voice | ms |\n| --- | --- | --- | --- |")
    for seconds, overlap in BLOCKS:
        stretching._STRETCH_BLOCK_S, stretching._STRETCH_OVERLAP = seconds, overlap  # type: ignore[assignment]

        def change(x: Samples, speed: float, pitch: float) -> Samples:
            return stretching.stretch(x, RATE, speed, pitch, 1)

        back, made = [], []
        for speed, pitch in CHANGES:
            back += [distance(w, change(change(w, speed, pitch), 1 / speed, 1 / pitch)) for w in words]
            made += [distance(voice(s, speed, pitch), change(voice(s), speed, pitch)) for s in range(8)]
        spent = cpu_ms(lambda: change(words[0][:11000], 1.0, 1.2))
        print(
            f"| {1000 * seconds:.0f} ms, {overlap:g} | {np.mean(back):.1f} | {np.mean(made):.1f} | {spent:.2f} |",
            flush=True,
        )


def purity(hz: int) -> float:
    from scipy.signal import lfilter

    pulses = np.zeros(RATE)
    pulses[:: RATE // hz] = 0.05
    pole = 0.97
    train = lfilter([1], [1, -2 * pole * np.cos(2 * np.pi * 1500 / RATE), pole**2], pulses)
    shares = []
    for tract in (0.8, 1.25):
        moved = stretching.warp_vocal_tract(train.astype(np.float32), RATE, tract)
        energy = np.abs(np.fft.rfft(moved))[:4000] ** 2
        shares.append(energy[hz::hz].sum() / energy.sum())
    return float(np.mean(shares))


def compare_frames(words: list[Samples]) -> None:
    print(
        "| frame, overlap | synthetic voice | purity 100 Hz | 200 Hz | ms |\n| --- | --- | --- | --- | --- |"
    )
    for seconds, overlap in FRAMES:
        stretching._FRAME_S, stretching._OVERLAP = seconds, overlap
        stretching._tables.cache_clear()
        stretching._envelope_change.cache_clear()
        moved = [
            distance(voice(s, tract=tract), stretching.warp_vocal_tract(voice(s), RATE, tract))
            for s in range(8)
            for tract in TRACTS
        ]
        spent = cpu_ms(lambda: stretching.warp_vocal_tract(words[0][:11000], RATE, 1.2))
        print(
            f"| {1000 * seconds:.0f} ms, {overlap} | {np.mean(moved):.1f} | {purity(100):.4f} | {purity(200):.4f} "
            f"| {spent:.2f} |",
            flush=True,
        )


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    paths = [
        path for path in sorted((speech_dir() / "commands").glob("*/*.flac")) if "_silence_" not in path.parts
    ]
    words = [np.asarray(read_audio_file(path)) for path in paths[:: len(paths) // 25]]
    compare_blocks(words)
    compare_frames(words)


if __name__ == "__main__":
    main()
