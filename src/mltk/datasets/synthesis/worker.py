"""The process in which a synthesizer speaks: a block of requests from stdin, the clips to stdout.

It exists for two reasons. A synthesizer is a C library with global state: a fresh process is the one state
that is the same on every run and for any number of workers. And a library that hangs or crashes on a word
takes only this process with it.

Input: one JSON object (the fields of `Block`). Output, for each request: a line of JSON, then as many
little-endian int16 samples as its "samples" says. A line with "error" ends it.
"""

import json
import os
import sys
from dataclasses import asdict
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mltk.audio.convert import to_int16
from mltk.audio.length import trim_silence
from mltk.audio.resample import resample
from mltk.datasets.synthesis.interface import (
    SAMPLE_RATE_HZ,
    Block,
    Request,
    Synthesizer,
    VoiceSettings,
    clip_rng,
    pick_speaker,
)
from mltk.datasets.synthesis.registry import load_synthesizer
from mltk.utils.errors import DatasetError, MltkError

# How a word ends decides its melody: a statement, an exclamation, a question, the first part of a sentence.
PUNCTUATION = ("", ".", "!", "?", ",")

_TRIM_DB = 40.0

# Voices differ in loudness by 20 dB and more, whispers most. They get one level here; augmentation varies it.
_LEVEL_DB = -20.0
_PEAK = 0.9
# Nothing below the first frequency, all above the second: the lowest voices begin at 65 Hz.
_RUMBLE_HZ = (30.0, 60.0)
# Below this RMS (-80 dBFS) there is nothing to hear, only rounding noise that would be amplified.
_SILENT_RMS = 1e-4


def speak_request(
    synthesizer: Synthesizer, block: Block, request: Request
) -> tuple[str, VoiceSettings, NDArray[np.int16]]:
    """Speak one request.

    Returns:
        The text as it was given to the synthesizer, the settings, and int16 [n] at SAMPLE_RATE_HZ, trimmed
        and levelled.

    Raises:
        DatasetError: the synthesizer gave no sound.

    """
    rng = clip_rng(block.seed, block.engine, request)
    speaker = pick_speaker(synthesizer, rng, block.language, request.speaker)
    settings = synthesizer.draw(rng, block.language, speaker)
    text = request.word + PUNCTUATION[int(rng.integers(len(PUNCTUATION)))]
    samples, rate_hz = synthesizer.speak(text, settings)
    clip = _without_rumble(np.asarray(resample(samples, rate_hz, SAMPLE_RATE_HZ), np.float32))
    if clip.size == 0 or _rms(clip) < _SILENT_RMS:
        raise DatasetError(
            f"The synthesizer {block.engine} gives no sound for '{text}' "
            f"(voice {settings.voice}+{settings.variant}): "
            "write it as it is spoken, in letters of its language"
        )
    clip = np.asarray(trim_silence(clip, _TRIM_DB), np.float32)
    gain = min(10.0 ** (_LEVEL_DB / 20.0) / _rms(clip), _PEAK / float(np.abs(clip).max()))
    return text, settings, to_int16(clip * np.float32(gain))


def _without_rumble(clip: NDArray[np.float32]) -> NDArray[np.float32]:
    """Take out what lies below speech: a variant of eSpeak has more than half of its power at 0 Hz."""
    if clip.size == 0:
        return clip
    spectrum = np.fft.rfft(clip)
    frequencies = np.fft.rfftfreq(len(clip), 1.0 / SAMPLE_RATE_HZ)
    spectrum *= np.clip((frequencies - _RUMBLE_HZ[0]) / (_RUMBLE_HZ[1] - _RUMBLE_HZ[0]), 0.0, 1.0)
    return np.fft.irfft(spectrum, len(clip)).astype(np.float32)


def _rms(clip: NDArray[np.float32]) -> float:
    return float(np.sqrt(np.mean(np.square(clip, dtype=np.float64))))


def _parse(data: dict[str, Any]) -> Block:
    requests = tuple(Request(**request) for request in data.pop("requests"))
    return Block(requests=requests, **data)


def _run(block: Block, out: BinaryIO) -> None:
    try:
        synthesizer = load_synthesizer(block.engine)
        for request in block.requests:
            text, settings, samples = speak_request(synthesizer, block, request)
            header = {"samples": len(samples), "text": text, "settings": asdict(settings)}
            out.write(json.dumps(header).encode() + b"\n" + samples.astype("<i2").tobytes())
            out.flush()
    except MltkError as error:
        out.write(json.dumps({"error": str(error)}).encode() + b"\n")
        out.flush()


def main() -> None:
    """Run one block."""
    # A library that prints must not end up between the clips.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    if os.name == "nt":
        import msvcrt

        msvcrt.setmode(out.fileno(), os.O_BINARY)  # type: ignore[attr-defined,unused-ignore]
    try:
        _run(_parse(json.loads(sys.stdin.buffer.read())), out)
    except (KeyboardInterrupt, BrokenPipeError):
        # The parent stops too, and it is the one to say so.
        os._exit(1)


if __name__ == "__main__":
    main()
