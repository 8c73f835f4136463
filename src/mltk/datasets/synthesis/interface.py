"""What a synthesizer is to the rest of the package, and the records that travel between its stages."""

import hashlib
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 16000
"""Rate of every synthetic clip."""


@dataclass(frozen=True)
class VoiceSettings:
    """How one clip is spoken; each field is a column of the manifest.

    Attributes:
        speaker: the person-like voice. All clips of one speaker belong on one side of a split.
        voice: the accent or model, in the synthesizer's own terms ("en-gb-scotland").
        variant: the voice quality, in the synthesizer's own terms ("f2").
        rate: how fast (eSpeak: words a minute; hibari: per cent of its natural pace).
        pitch: how high (eSpeak: 0 to 99; hibari: per cent of its natural pitch).
        pitch_range: how much melody (eSpeak: 0 monotone to 99; hibari: always 0, it can not be set).
        seed: seed of the synthesizer's own randomness, such as breath noise.

    """

    speaker: str
    voice: str
    variant: str
    rate: int
    pitch: int
    pitch_range: int
    seed: int


class Synthesizer(Protocol):
    """A source of spoken words. It runs in a worker process of its own, so it may keep global state.

    A class with these members can be named as an engine by "module:Class"; it is made without arguments.
    """

    name: str

    def speakers(self, language: str) -> dict[str, float]:
        """Return the person-like voices for a language, in the same order each time, with their weights.

        A speaker of weight 2 is drawn twice as often as one of weight 1.

        Raises:
            DatasetError: the language is unknown to this synthesizer.

        """

    def held_out(self) -> frozenset[str]:
        """Return the speakers that data sets leave out: streams are spoken by voices not trained on."""

    def draw(self, rng: np.random.Generator, language: str, speaker: str) -> VoiceSettings:
        """Draw everything but the speaker at random."""

    def speak(self, text: str, settings: VoiceSettings) -> tuple[NDArray[np.float32], int]:
        """Speak a text.

        Returns:
            float32 [n] in [-1, 1] and the sample rate in Hz; n is 0 where there is nothing to say.

        """


@dataclass(frozen=True)
class Request:
    """One clip to be spoken.

    Attributes:
        word: the word, phrase or sentence, without punctuation.
        index: number of the clip among those of the same word; with the seed it decides every draw.
        speaker: a speaker's name, None for any that is not held out, or HELD_OUT for any that is.

    """

    word: str
    index: int
    speaker: str | None = None


HELD_OUT = "*held-out*"
"""As a request's speaker: any of those which data sets leave out."""


@dataclass(frozen=True)
class Block:
    """Clips that one fresh worker process speaks one after the other.

    The block, not the clip, is the unit of reproducibility: eSpeak carries some state (the phase of its pitch
    flutter) from one utterance to the next and has no call that resets it.
    """

    engine: str
    language: str
    seed: int
    requests: tuple[Request, ...]


@dataclass(frozen=True)
class Utterance:
    """A spoken clip: int16 [n] at SAMPLE_RATE_HZ, trimmed and levelled, and how it was spoken."""

    request: Request
    engine: str
    text: str
    settings: VoiceSettings
    samples: NDArray[np.int16]

    @property
    def seconds(self) -> float:
        """Length of the clip."""
        return len(self.samples) / SAMPLE_RATE_HZ

    @property
    def speaker_id(self) -> str:
        """Eight hex digits for the speaker, in the form of Speech Commands' file names."""
        return speaker_id(self.engine, self.settings.speaker)


def speaker_id(engine: str, speaker: str) -> str:
    """Return eight hex digits that stand for a speaker of an engine."""
    return hashlib.sha256(f"{engine}:{speaker}".encode()).hexdigest()[:8]


def clip_rng(seed: int, engine: str, request: Request) -> np.random.Generator:
    """Return the generator that decides everything about one clip, whatever was drawn before."""
    digest = hashlib.sha256(f"{engine}:{request.word}".encode()).digest()
    return np.random.default_rng([seed, int.from_bytes(digest[:8], "little"), request.index])


def pick_speaker(
    synthesizer: Synthesizer, rng: np.random.Generator, language: str, wanted: str | None
) -> str:
    """Return a request's speaker: the named one, or a random one of the data set's or the held-out ones."""
    if wanted is not None and wanted != HELD_OUT:
        return wanted
    held = synthesizer.held_out()
    weights = synthesizer.speakers(language)
    pool = [speaker for speaker in weights if (speaker in held) == (wanted == HELD_OUT)]
    steps = np.cumsum([weights[speaker] for speaker in pool])
    return pool[int(np.searchsorted(steps, rng.uniform(0.0, steps[-1]), side="right"))]
