"""A stream with words at known times: for the demo and for benchmarks."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mltk.audio.convert import to_float32, to_int16
from mltk.audio.noise import colored_noise
from mltk.datasets.synthesis.interface import HELD_OUT, SAMPLE_RATE_HZ, Request
from mltk.datasets.synthesis.pool import deal, speak_blocks
from mltk.datasets.synthesis.registry import resolve_engines
from mltk.datasets.synthesis.words import folder_name
from mltk.utils.errors import DatasetError

# Indices of a stream's clips start here, far from those of a data set: with the same seed no clip is spoken
# twice.
_FIRST_INDEX = 1_000_000

_LONGEST_STREAM_WORDS = 10_000


class SpokenWord(NamedTuple):
    """A word in a stream and where it is, in milliseconds from the stream's start."""

    word: str
    start_ms: int
    end_ms: int


def synthesize_stream(
    words: Sequence[str],
    *,
    seed: int = 42,
    engines: Sequence[str] = ("espeak",),
    language: str = "en",
    speakers: Sequence[str] | None = None,
    pause_ms: tuple[int, int] = (1500, 3000),
    noise_db: float = -55.0,
    workers: int | None = None,
) -> tuple[NDArray[np.int16], list[SpokenWord]]:
    """Lay spoken words into quiet pink noise, with pauses between them.

    Args:
        words: the words or phrases in their order; a word may come again, spoken otherwise.
        seed: 0 or more. The same arguments give the same samples.
        engines: as `synthesize_words` takes them; several take turns.
        language: as `synthesize_words` takes it.
        speakers: names of speakers, who take turns; None for speakers that `synthesize_words` leaves out, so
            that a model trained on its clips has not heard the voices.
        pause_ms: shortest and longest pause, before, between, and after the words.
        noise_db: RMS of the noise in dB of full scale; the words have about -20 dB.
        workers: processes at a time; None for one a core.

    Returns:
        int16 [n] at 16 kHz, and each word with its start and end.

    Raises:
        DatasetError: as `synthesize_words`, or a pause or level can not be used.
        MissingExtraError: an engine's package is not installed.

    """
    if not 1 <= len(words) <= _LONGEST_STREAM_WORDS:
        raise DatasetError(f"A stream has 1 to {_LONGEST_STREAM_WORDS} words, not {len(words)}")
    if seed < 0:
        raise DatasetError(f"The seed must be 0 or more, not {seed}")
    if not 0 <= pause_ms[0] <= pause_ms[1] <= 60_000:
        raise DatasetError(f"The pauses {pause_ms} are not a range within 0 to 60000 ms")
    if not noise_db <= 0.0:
        raise DatasetError(f"The noise of a stream must be 0 dB or below, not {noise_db}")
    clips = _speak(
        words,
        seed=seed,
        engines=resolve_engines(engines),
        language=language,
        speakers=speakers,
        workers=workers,
    )
    rng = np.random.default_rng([seed, len(words)])
    pauses = rng.integers(pause_ms[0], pause_ms[1] + 1, len(clips) + 1) * SAMPLE_RATE_HZ // 1000
    length = int(pauses.sum()) + sum(map(len, clips))
    stream = colored_noise(length, "pink", rng) * np.float32(10.0 ** (noise_db / 20.0))
    placed = []
    position = 0
    for word, clip, pause in zip(words, clips, pauses, strict=False):
        start = position + int(pause)
        position = start + len(clip)
        stream[start:position] += to_float32(clip)
        placed.append(SpokenWord(word, start * 1000 // SAMPLE_RATE_HZ, position * 1000 // SAMPLE_RATE_HZ))
    return to_int16(stream), placed


def _speak(
    words: Sequence[str],
    *,
    seed: int,
    engines: Sequence[str],
    language: str,
    speakers: Sequence[str] | None,
    workers: int | None,
) -> list[NDArray[np.int16]]:
    """Speak the words; the engines and the speakers take turns."""
    requests = [
        Request(
            folder_name(word).replace("_", " "),
            _FIRST_INDEX + i,
            speakers[i % len(speakers)] if speakers else HELD_OUT,
        )
        for i, word in enumerate(words)
    ]
    clips: dict[int, NDArray[np.int16]] = {}
    for _, utterances in speak_blocks(deal(requests, engines, language, seed), workers):
        for utterance in utterances:
            clips[utterance.request.index] = utterance.samples
    return [clips[_FIRST_INDEX + i] for i in range(len(words))]
