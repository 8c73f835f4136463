"""A minute of real recordings with words at known places, for the benchmarks on an emulated chip."""

import numpy as np
from numpy.typing import NDArray
from real_words import speech_dir

from mltk.audio.convert import to_int16
from mltk.audio.read import read_audio_file
from mltk.detection.scoring import SpokenWord

RATE_HZ = 16000
OTHERS = ("up", "stop", "left", "_unknown_", "_silence_")


def words_stream(words: list[str], seconds: int, seed: int = 1) -> tuple[NDArray[np.int16], list[SpokenWord]]:
    """Lay clips of the words, of other words and of noise one behind the other, with pauses of room noise.

    Returns:
        int16 [seconds * 16000], and where the words are.

    """
    rng = np.random.default_rng(seed)
    folder = speech_dir() / "commands"
    clips = {word: sorted((folder / word).glob("*.flac")) for word in (*words, *OTHERS)}
    n_samples = seconds * RATE_HZ
    pieces: list[NDArray[np.int16]] = []
    spoken: list[SpokenWord] = []
    position = 0
    while position < n_samples:
        # Every other clip is one of the words.
        word = str(rng.choice(words)) if len(pieces) % 4 == 0 else str(rng.choice(OTHERS))
        path = clips[word][rng.integers(len(clips[word]))]
        clip = to_int16(read_audio_file(path, return_numpy=True))
        pause = rng.normal(0, 20, int(rng.uniform(0.2, 0.6) * RATE_HZ)).astype(np.int16)
        if word in words:
            start_ms = position * 1000 // RATE_HZ
            spoken.append(SpokenWord(word, start_ms, start_ms + len(clip) * 1000 // RATE_HZ))
        pieces += [clip, pause]
        position += len(clip) + len(pause)
    whole = [word for word in spoken if word.end_ms < seconds * 1000]
    return np.concatenate(pieces)[:n_samples], whole
