"""eSpeak NG through ctypes: the library and its voices come with the pip package `espeakng-loader`.

eSpeak NG is under GPL-3.0. Nothing of it is part of this package: it is loaded at run time, in a worker
process, and only where the user installed the extra `synth`. Calls and constants: eSpeak NG's `speak_lib.h`,
documented in https://github.com/espeak-ng/espeak-ng/blob/master/docs/integration.md
"""

import ctypes
import os
import re
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mltk.datasets.synthesis.interface import VoiceSettings
from mltk.utils.errors import DatasetError, MissingExtraError

_AUDIO_OUTPUT_SYNCHRONOUS = 2
_INITIALIZE_DONT_EXIT = 0x8000
_CHARS_UTF8 = 1
_RATE, _PITCH, _RANGE = 1, 3, 4

# A word that has not ended after this long is one that eSpeak is stuck in.
_MAX_SECONDS = 30

# An alphabet of its own: Latin text is spelt out letter by letter.
_UNUSABLE_VOICES = frozenset({"en-shaw"})

# Variants of different names that are alike: the long-term spectra of one sentence, in 49 bands, differ by
# 0.3 to 1.9 dB RMS. They count as one speaker, else a split would have the same voice on both sides.
_SAME_SPEAKER = {
    "adam": "klatt", "benjamin": "klatt", "edward": "klatt",
    "alex": "max", "ricishaymax": "max",
    "fast": "croak", "grandpa": "croak", "m6": "croak",
    "announcer": "robosoft", "m8": "robosoft",
    "aunty": "f4", "michel": "miguel", "diogo": "henrique", "hugo": "henrique", "robert": "rob",
}  # fmt: skip

# Of the speakers one in six is a woman. With this weight nearly every second clip is a woman's; that and a
# wide range of pitch took a small net for ten words, trained on 1,200 clips, from 0.55 to 0.60 on real
# recordings (two seeds each).
_FEMALE = 2
_WEIGHT_OF_WOMEN = 4.0

_HELD_OUT = frozenset({"f4", "m3", "m7", "belinda", "david", "linda", "travis", "victor"})

_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class _Voice(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_void_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("xx1", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


class _Listed(NamedTuple):
    identifier: str
    languages: list[str]
    gender: int


class EspeakSynthesizer:
    """eSpeak NG's accents of a language in its about hundred voice variants.

    Raises:
        MissingExtraError: the package espeakng-loader is not installed.
        DatasetError: its library can not be loaded on this machine.

    """

    name = "espeak"

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        # The C side keeps the address only: the object must live as long as this one.
        self._callback = _CALLBACK(self._receive)
        self._library, self._rate_hz = self._open()

    def _open(self) -> tuple[Any, int]:
        try:
            import espeakng_loader
        except ModuleNotFoundError as error:
            raise MissingExtraError("synth", "Speaking with eSpeak NG") from error
        try:
            library = ctypes.CDLL(espeakng_loader.get_library_path())
            data = os.fsencode(espeakng_loader.get_data_path())
        except (OSError, RuntimeError) as error:
            raise DatasetError(f"The eSpeak NG of espeakng-loader can not be loaded here: {error}") from error
        _declare(library)
        rate_hz = int(library.espeak_Initialize(_AUDIO_OUTPUT_SYNCHRONOUS, 0, data, _INITIALIZE_DONT_EXIT))
        if rate_hz <= 0:
            raise DatasetError(
                f"eSpeak NG does not start with its data in {os.fsdecode(data)} (error {rate_hz})"
            )
        library.espeak_SetSynthCallback(self._callback)
        return library, rate_hz

    def _receive(self, samples: Any, count: int, _events: Any) -> int:
        """Collect audio; tell eSpeak to stop (1) where it does not end by itself."""
        if samples and count > 0:
            self._pieces.append(ctypes.string_at(samples, 2 * count))
            self._size += count
        return int(self._size > _MAX_SECONDS * self._rate_hz)

    def speakers(self, language: str) -> dict[str, float]:
        """Return the speakers, women with a larger weight; numbered versions (iven, iven2) are one
        speaker.
        """
        self._accents(language)
        return {
            speaker: _WEIGHT_OF_WOMEN if any(variant in self._women() for variant in variants) else 1.0
            for speaker, variants in sorted(self._variants().items())
        }

    def held_out(self) -> frozenset[str]:
        """Return eight speakers, women and men, that data sets leave out."""
        return _HELD_OUT

    def draw(self, rng: np.random.Generator, language: str, speaker: str) -> VoiceSettings:
        """Draw accent, variant, rate, pitch, and pitch range."""
        accents = self._accents(language)
        variants = self._variants().get(speaker)
        if variants is None:
            raise DatasetError(
                f"eSpeak NG has no speaker '{speaker}': take one of {', '.join(self.speakers(language))}"
            )
        return VoiceSettings(
            speaker=speaker,
            voice=accents[int(rng.integers(len(accents)))],
            variant=variants[int(rng.integers(len(variants)))],
            rate=int(rng.integers(110, 221)),
            pitch=int(np.clip(rng.normal(50.0, 25.0), 0.0, 99.0)),
            pitch_range=int(rng.integers(20, 81)),
            seed=int(rng.integers(1, 2**31)),
        )

    def speak(self, text: str, settings: VoiceSettings) -> tuple[NDArray[np.float32], int]:
        """Speak a text; see `Synthesizer.speak`."""
        library = self._library
        # By identifier (gmw/en): a language code is only found where it is the name of a file, and en-gb is
        # not.
        voice = f"{self._identifiers().get(settings.voice, settings.voice)}+{settings.variant}"
        if library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise DatasetError(f"eSpeak NG has no voice '{voice}'")
        for parameter, value in (
            (_RATE, settings.rate),
            (_PITCH, settings.pitch),
            (_RANGE, settings.pitch_range),
        ):
            library.espeak_SetParameter(parameter, value, 0)
        library.espeak_ng_SetRandSeed(settings.seed)
        self._pieces.clear()
        self._size = 0
        data = text.encode()
        status = library.espeak_Synth(data, len(data) + 1, 0, 0, 0, _CHARS_UTF8, None, None)
        library.espeak_Synchronize()
        if status != 0:
            raise DatasetError(f"eSpeak NG can not speak '{text}' as {voice} (error {status})")
        if self._size > _MAX_SECONDS * self._rate_hz:
            raise DatasetError(f"eSpeak NG does not come to an end of '{text}': use shorter words or phrases")
        samples = np.frombuffer(b"".join(self._pieces), np.int16)
        return samples.astype(np.float32) / np.float32(32768.0), self._rate_hz

    @cache  # noqa: B019  one object lives in a worker process, as long as that does
    def _accents(self, language: str) -> list[str]:
        """Return the voices of a language and of its regions: 'en' gives en-us, en-gb, en-029, ..."""
        wanted = language.lower()
        known = self._identifiers()
        found = sorted(own for own in known if own == wanted or own.startswith(f"{wanted}-"))
        if not found:
            codes = sorted({own.split("-")[0] for own in known})
            raise DatasetError(f"eSpeak NG does not speak '{language}': take one of {', '.join(codes)}")
        return found

    @cache  # noqa: B019
    def _identifiers(self) -> dict[str, str]:
        """Return language code -> identifier of its voice."""
        # The first language is the voice's own; the others are those it can stand in for.
        voices = {v.languages[0].lower(): v.identifier for v in self._list(None) if v.languages}
        return {code: identifier for code, identifier in voices.items() if code not in _UNUSABLE_VOICES}

    @cache  # noqa: B019
    def _variants(self) -> dict[str, list[str]]:
        """Return speaker -> its variants."""
        groups: dict[str, list[str]] = {}
        for voice in self._list(b"variant"):
            variant = voice.identifier.removeprefix("!v/")
            groups.setdefault(_speaker_of(variant), []).append(variant)
        return {speaker: sorted(variants) for speaker, variants in groups.items()}

    @cache  # noqa: B019
    def _women(self) -> frozenset[str]:
        """Return the variants that are a woman's voice."""
        voices = self._list(b"variant")
        return frozenset(voice.identifier.removeprefix("!v/") for voice in voices if voice.gender == _FEMALE)

    def _list(self, language: bytes | None) -> list[_Listed]:
        """Return all voices, or the variants where `language` is b'variant'."""
        wanted = _Voice()
        text = ctypes.create_string_buffer(language or b"")
        wanted.languages = ctypes.addressof(text)
        voices = self._library.espeak_ListVoices(ctypes.byref(wanted) if language else None)
        result = []
        index = 0
        while voices[index]:
            voice = voices[index].contents
            identifier = os.fsdecode(voice.identifier).replace("\\", "/")
            result.append(_Listed(identifier, _languages(voice.languages), int(voice.gender)))
            index += 1
        return result


def _declare(library: Any) -> None:
    """Tell ctypes the types: sizes and pointers are 64 bit wide."""
    library.espeak_Initialize.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_int]
    library.espeak_SetSynthCallback.argtypes = [_CALLBACK]
    library.espeak_SetVoiceByName.argtypes = [ctypes.c_char_p]
    library.espeak_SetParameter.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int]
    library.espeak_ng_SetRandSeed.argtypes = [ctypes.c_long]
    library.espeak_Synth.argtypes = [
        ctypes.c_char_p,
        ctypes.c_size_t,
        ctypes.c_uint,
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.c_uint,
        ctypes.POINTER(ctypes.c_uint),
        ctypes.c_void_p,
    ]
    library.espeak_ListVoices.argtypes = [ctypes.POINTER(_Voice)]
    library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))


def _languages(address: int | None) -> list[str]:
    """Read a voice's languages: a priority byte and a zero-ended name each, a zero byte at the end."""
    names = []
    while address and ctypes.string_at(address, 1) != b"\0":
        name = ctypes.string_at(address + 1)
        names.append(name.decode())
        address += len(name) + 2
    return names


def _speaker_of(variant: str) -> str:
    """Return the person behind a variant: f1 to f5 and m1 to m8 are people, other numbers count versions."""
    if re.fullmatch(r"[fm]\d", variant):
        name = variant
    else:
        name = re.sub(r"(Robot|\d+)$", "", variant).lower().replace(" ", "_")
    return _SAME_SPEAKER.get(name, name)
