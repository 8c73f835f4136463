"""Generated background noise: coloured noise, hum, clicks, and babble of synthetic voices."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mltk.audio.noise import colored_noise
from mltk.audio.write import write_audio_file
from mltk.utils.errors import DatasetError

SAMPLE_RATE_HZ = 16000
"""Rate of the noise files."""

_LONGEST_S = 3600.0

# RMS of a file in dB of full scale: between a quiet room and one in which a voice (-20 dB) has to speak up.
_LEVELS_DB = {"white": -36.0, "pink": -30.0, "brown": -28.0, "hum": -34.0, "clicks": -38.0, "babble": -30.0}
# The level wanders this far up and down within a file, so that silence is learnt at every level.
_SWING_DB = 12.0
# Points of the wandering level a second.
_SWING_HZ = 0.4

_SENTENCE_S = 2.0
_MOST_SENTENCES = 600

FILES_OF_A_KIND = 2
"""Files of each kind of noise."""

BABBLE_VOICES = 5
"""Voices that talk at the same time: from about four on, no word of one can be made out."""


def white(n: int, seed: int) -> NDArray[np.float32]:
    """Make white noise: float32 [n] with an RMS of 1."""
    return colored_noise(n, "white", np.random.default_rng(seed))


def pink(n: int, seed: int) -> NDArray[np.float32]:
    """Make pink noise (-3 dB an octave): float32 [n] with an RMS of 1."""
    return colored_noise(n, "pink", np.random.default_rng(seed))


def brown(n: int, seed: int) -> NDArray[np.float32]:
    """Make brown noise (-6 dB an octave): float32 [n] with an RMS of 1."""
    return colored_noise(n, "brown", np.random.default_rng(seed))


def hum(n: int, seed: int) -> NDArray[np.float32]:
    """Make mains hum, 50 or 60 Hz and harmonics, above a little white noise: float32 [n] with an RMS of 1."""
    rng = np.random.default_rng(seed)
    t = np.arange(n) / SAMPLE_RATE_HZ
    base_hz = rng.choice([50.0, 60.0])
    signal = 0.1 * rng.standard_normal(n)
    for harmonic in range(1, 13):
        # Rectifiers make the even harmonics (100 Hz, 200 Hz) strong: the odd ones get half.
        weight = (1.0 if harmonic % 2 == 0 else 0.5) * rng.uniform(0.3, 1.0) / harmonic
        signal += weight * np.sin(2 * np.pi * (base_hz * harmonic * t + rng.uniform()))
    return _unit_rms(signal)


def clicks(n: int, seed: int) -> NDArray[np.float32]:
    """Make clicks and taps, about three a second at random times: float32 [n] with an RMS of 1."""
    rng = np.random.default_rng(seed)
    signal = 0.02 * rng.standard_normal(n)
    for start in rng.integers(0, max(n, 1), rng.poisson(3.0 * n / SAMPLE_RATE_HZ) + 1):
        length = min(n - int(start), int(rng.integers(80, 1600)))
        t = np.arange(length) / SAMPLE_RATE_HZ
        decay = np.exp(-t * rng.uniform(80.0, 600.0))
        tone = np.sin(2 * np.pi * rng.uniform(300.0, 5000.0) * t)
        signal[start : start + length] += (
            rng.uniform(0.2, 1.0) * decay * (tone + 0.5 * rng.standard_normal(length))
        )
    return _unit_rms(signal)


def babble(
    n: int,
    seed: int,
    *,
    engines: Sequence[str] = ("espeak",),
    language: str = "en",
    workers: int | None = None,
) -> NDArray[np.float32]:
    """Make babble: several synthetic voices that say other sentences at the same time.

    Args:
        n: samples at 16 kHz.
        seed: 0 or more.
        engines: the synthesizers, as `synthesize_words` takes them.
        language: of the voices; the sentences are English.
        workers: processes at a time; None for one a core.

    Returns:
        float32 [n] with an RMS of 1.

    Raises:
        DatasetError: the synthesizer can not speak.
        MissingExtraError: it is not installed.

    """
    from mltk.audio.convert import to_float32
    from mltk.datasets.synthesis.interface import Request
    from mltk.datasets.synthesis.pool import deal, speak_blocks
    from mltk.datasets.synthesis.registry import resolve_engines
    from mltk.datasets.synthesis.vocabulary import SENTENCES

    names = resolve_engines(engines)
    _check(n / SAMPLE_RATE_HZ, seed)
    rng = np.random.default_rng(seed)
    number = int(
        np.clip(np.ceil(BABBLE_VOICES * n / SAMPLE_RATE_HZ / _SENTENCE_S), 2 * BABBLE_VOICES, _MOST_SENTENCES)
    )
    requests = [Request(SENTENCES[i % len(SENTENCES)], i // len(SENTENCES)) for i in range(number)]
    spoken: dict[Request, NDArray[np.float32]] = {}
    for _, utterances in speak_blocks(deal(requests, names, language, seed), workers):
        spoken |= {utterance.request: to_float32(utterance.samples) for utterance in utterances}
    signal = np.zeros(n)
    for _ in range(BABBLE_VOICES):
        line = np.concatenate([spoken[requests[i]] for i in rng.permutation(number)])
        start = int(rng.integers(len(line)))
        signal += rng.uniform(0.6, 1.0) * np.resize(np.roll(line, start), n)
    return _unit_rms(signal)


_KINDS: dict[str, Callable[[int, int], NDArray[np.float32]]] = {
    "white": white,
    "pink": pink,
    "brown": brown,
    "hum": hum,
    "clicks": clicks,
}


def write_background_noise(
    folder: str | os.PathLike[str],
    seconds_each: float = 30.0,
    seed: int = 42,
    *,
    engines: Sequence[str] = (),
    language: str = "en",
    workers: int | None = None,
) -> list[Path]:
    """Write background noise for a data set.

    The files are `white_0.wav` and `white_1.wav`, and likewise pink, brown, hum, clicks and, with a
    synthesizer, babble: 16-bit mono at 16 kHz. There are two of a kind because data sets are split by file: a
    kind that is in the validation set only would be a noise that training never met. The level of each
    wanders slowly, over 24 dB, around one that leaves a voice audible. The same arguments give the same
    bytes.

    Args:
        folder: where, such as `<data set>/_background_noise_`; made where it is missing. Other files in it
            stay.
        seconds_each: length of each file.
        seed: 0 or more.
        engines: the synthesizers for babble; with none there is no babble.
        language: of the babble's voices.
        workers: processes for the babble; None for one a core.

    Returns:
        The files.

    Raises:
        DatasetError: a number can not be used, or the synthesizer can not speak.
        MissingExtraError: the synthesizer is not installed.
        MltkError: the folder can not be written.

    """
    _check(seconds_each, seed)
    n = FILES_OF_A_KIND * max(1, round(seconds_each * SAMPLE_RATE_HZ))
    files = []
    for kind in (*_KINDS, "babble"):
        if kind == "babble":
            if not engines:
                continue
            noise = babble(n, seed, engines=engines, language=language, workers=workers)
        else:
            noise = _KINDS[kind](n, seed)
        rng = np.random.default_rng([seed, *kind.encode()])
        gain_db = _LEVELS_DB[kind] + _wander(n, rng)
        noise = noise * np.power(10.0, gain_db / 20.0, dtype=np.float32)
        for part, samples in enumerate(np.split(noise, FILES_OF_A_KIND)):
            files.append(Path(folder) / f"{kind}_{part}.wav")
            write_audio_file(files[-1], samples, SAMPLE_RATE_HZ)
    return files


def _wander(n: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a level in dB that moves slowly between random points: float32 [n] within the swing."""
    points = rng.uniform(-_SWING_DB, _SWING_DB, int(n * _SWING_HZ / SAMPLE_RATE_HZ) + 2)
    at = np.linspace(0.0, len(points) - 1.0, n)
    return np.interp(at, np.arange(len(points)), points).astype(np.float32)


def _unit_rms(signal: NDArray[np.float64]) -> NDArray[np.float32]:
    rms = float(np.sqrt(np.mean(np.square(signal)))) if signal.size else 0.0
    return np.asarray(signal / rms if rms > 0.0 else signal, np.float32)


def _check(seconds: float, seed: int) -> None:
    if not 0.0 < seconds <= _LONGEST_S:
        raise DatasetError(
            f"A noise file can not last {seconds} s: use more than 0 and up to {_LONGEST_S:.0f}"
        )
    if seed < 0:
        raise DatasetError(f"The seed must be 0 or more, not {seed}")
