"""Lay words of speakers kept apart into speech and noise at known times, and count what the detector hears.

    python benchmarks/stream.py MODEL TEST_FOLDER [--seed N] [--wav FILE] [classify_audio's settings]

TEST_FOLDER is the `test` folder of `real_words.py` (speakers and noise recordings that MODEL was not trained on). The stream is
made of read sentences (../shared/speech/negatives), between them the words, each over a piece of a noise recording, and the noise
recordings by themselves. The same events must come for chunks of 10 ms, 37 ms, 1 s and for the whole.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from real_words import speech_dir

from mltk.audio.convert import to_int16
from mltk.audio.read import read_audio_file
from mltk.audio.resample import resample
from mltk.audio.write import write_audio_file
from mltk.detection.events import Detection
from mltk.detection.scoring import SpokenWord, score_stream
from mltk.detection.stream import KeywordDetector

RATE_HZ = 16000
CHUNKS_MS = (10, 37, 1000)
AFTER_MS = 500


def read(path: Path) -> NDArray[np.float32]:
    """Read a clip at 16 kHz."""
    samples, rate_hz = read_audio_file(path, return_numpy=True, return_sample_rate=True)
    return np.asarray(resample(samples, rate_hz, RATE_HZ), np.float32)


def noise_piece(noises: list[NDArray[np.float32]], n: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Cut a piece out of a noise recording, and make it quieter."""
    noise = noises[rng.integers(len(noises))]
    start = rng.integers(max(1, len(noise) - n))
    return np.resize(noise[start : start + n], n) * np.float32(rng.uniform(0.0, 0.3))


def make_stream(test: Path, words: list[str], seed: int) -> tuple[NDArray[np.int16], list[SpokenWord], int]:
    """Return the stream, its words, and how many milliseconds of it are sentences or noise without any word."""
    rng = np.random.default_rng(seed)
    noises = [read(path) for path in sorted((test / "_background_noise_").iterdir())]
    clips = [(word, path) for word in words for path in sorted((test / word).iterdir())]
    sentences = sorted((speech_dir() / "negatives").rglob("*.flac"))
    pieces: list[NDArray[np.float32]] = []
    spoken: list[SpokenWord] = []
    position = 0
    for number, turn in enumerate(rng.permutation(len(clips))):
        word, path = clips[turn]
        clip = read(path)
        lead, tail = RATE_HZ, RATE_HZ
        with_noise = noise_piece(noises, lead + len(clip) + tail, rng)
        with_noise[lead : lead + len(clip)] += clip
        pieces += [read(sentences[number % len(sentences)]), with_noise]
        start = position + len(pieces[-2]) + lead
        spoken.append(SpokenWord(word, start * 1000 // RATE_HZ, (start + len(clip)) * 1000 // RATE_HZ))
        position += len(pieces[-2]) + len(pieces[-1])
    pieces += noises
    stream = np.concatenate(pieces)
    without = len(stream) - len(clips) * 3 * RATE_HZ
    return to_int16(stream), spoken, without * 1000 // RATE_HZ


def detections_of(detector: KeywordDetector, stream: NDArray[np.int16], chunk: int) -> list[Detection]:
    """Feed the stream in chunks."""
    detector.reset()
    return [event for at in range(0, len(stream), chunk) for event in detector.feed(stream[at : at + chunk])]


def main() -> None:
    """Make the stream, hear it, count."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("test", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--wav", type=Path, help="write the stream there")
    for option in ("window_duration_ms", "count", "threshold", "suppression_ms", "latency_ms"):
        parser.add_argument(f"--{option}", type=int)
    parser.add_argument("--volume", type=float)
    options = vars(parser.parse_args())
    model, test, seed, wav = (options.pop(name) for name in ("model", "test", "seed", "wav"))
    detector = KeywordDetector(model, **options)
    words = [label for label in detector.labels if not label.startswith("_")]
    stream, spoken, without_ms = make_stream(test, words, seed)
    if wav is not None:
        write_audio_file(str(wav), stream, RATE_HZ)
    whole = detections_of(detector, stream, len(stream))
    for chunk_ms in CHUNKS_MS:
        same = detections_of(detector, stream, chunk_ms * RATE_HZ // 1000) == whole
        print(f"chunks of {chunk_ms} ms: {'the same events' if same else 'OTHER EVENTS'}")
    score = score_stream(whole, spoken, len(stream) * 1000 // RATE_HZ, after_ms=AFTER_MS)
    print(score)
    for word in words:
        heard = sum(1 for found, _ in score.heard if found.label == word)
        print(f"{word}: {heard} of {sum(1 for one in spoken if one.label == word)} heard, "
              f"{sum(1 for event in score.false if event.label == word)} false")  # fmt: skip
    print(f"{without_ms / 60_000:.1f} min are sentences and noise")


if __name__ == "__main__":
    main()
