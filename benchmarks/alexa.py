"""Score an "alexa" model on real recordings: clip by clip, and as a stream with the model's own detection settings.

    python benchmarks/alexa.py [ARCHIVE]

ARCHIVE: ../shared/models/keyword_spotting_alexa.mltk.zip, the published one, unless given. The recordings are
../shared/speech/alexa (165 clips) and ../shared/speech/negatives (31 minutes of read sentences without the word; or
MLTK_SPEECH_DIR). Streamed, each clip stands between 1.5 s of near-silence (noise of 3 LSB) and the frontend starts anew with each
clip; the sentences are one stream. Clip by clip, the negatives are cut into pieces as long as the model's window, and the class
with the largest posterior counts. The reference toolkit heard 0.770 of the streamed clips, with 0 false ones.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from real_words import link, speech_dir
from trainings import micro_posteriors

from mltk.audio.convert import to_int16
from mltk.audio.read import read_audio_file
from mltk.audio.resample import resample
from mltk.audio.write import write_audio_file
from mltk.datasets.folder import UNKNOWN
from mltk.detection.stream import KeywordDetector
from mltk.evaluation.folder import samples_of_folder
from mltk.models.loading import load_mltk_model
from mltk.tflite.model import TfliteModel

RATE_HZ = 16000
PAUSE_S = 1.5
NOISE_LSB = 3
PUBLISHED = speech_dir().parent / "models" / "keyword_spotting_alexa.mltk.zip"


def read(path: Path) -> NDArray[np.int16]:
    """Read a recording at 16 kHz."""
    samples, rate_hz = read_audio_file(path, return_numpy=True, return_sample_rate=True)
    return to_int16(resample(samples, rate_hz, RATE_HZ))


def recordings(name: str) -> list[Path]:
    """Return the recordings of a folder of shared/speech."""
    return sorted((speech_dir() / name).rglob("*.flac"))


def streamed(archive: Path, engine: str) -> str:
    """Return what the detector hears in the clips and in the sentences."""
    detector = KeywordDetector(archive, engine=engine)
    rng = np.random.default_rng(0)
    heard = twice = 0
    clips = recordings("alexa")
    for path in clips:
        before, after = (
            np.clip(rng.normal(0, NOISE_LSB, round(PAUSE_S * RATE_HZ)), -32768, 32767).astype(np.int16)
            for _ in range(2)
        )
        detector.reset()
        events = detector.feed(np.concatenate([before, read(path), after]))
        heard += bool(events)
        twice += len(events) > 1
    detector.reset()
    false = sum(len(detector.feed(read(path))) for path in recordings("negatives"))
    minutes = detector.time_ms / 60_000
    return (
        f"| streamed, {engine} | {heard} of {len(clips)} ({heard / len(clips):.3f}) | {len(clips) - heard} "
        f"| {false} in {minutes:.1f} min; {twice} clips heard twice |"
    )


def clip_by_clip(archive: Path, tflm: bool) -> str:
    """Return how many clips and pieces of sentences are taken for the word."""
    model = load_mltk_model(archive)
    length = model.frontend_settings.sample_length_ms * RATE_HZ // 1000
    with tempfile.TemporaryDirectory(prefix="mltk-alexa-") as scratch:
        folder = Path(scratch)
        for path in recordings("alexa"):
            link(path, folder / "alexa" / path.name)
        for path in recordings("negatives"):
            samples = read(path)
            for start in range(0, len(samples) - length + 1, length):
                piece = folder / UNKNOWN / f"{path.stem}_{start}.wav"
                write_audio_file(str(piece), samples[start : start + length], RATE_HZ)
        samples = samples_of_folder(model, folder)
    tflite = Path(model.tflite_archive_path)
    predict = TfliteModel.load_flatbuffer_file(str(tflite)).predict_batch
    posteriors = micro_posteriors(tflite, samples) if tflm else predict(samples.x)
    taken = posteriors.argmax(axis=1) == model.classes.index("alexa")
    is_word = samples.class_ids == model.classes.index("alexa")
    hits, words = int(taken[is_word].sum()), int(is_word.sum())
    return (
        f"| clip by clip, {'tflm' if tflm else 'litert'} | {hits} of {words} ({hits / words:.3f}) | {words - hits} "
        f"| {int(taken[~is_word].sum())} of {int((~is_word).sum())} pieces |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("archive", type=Path, nargs="?", default=PUBLISHED)
    parser.add_argument("--tflm", action="store_true", help="TFLite-Micro too (minutes)")
    options = parser.parse_args()
    print("| measured | hits | misses | false |\n| --- | --- | --- | --- |", flush=True)
    for tflm in (False, True) if options.tflm else (False,):
        print(clip_by_clip(options.archive, tflm), flush=True)
        print(streamed(options.archive, "tflm" if tflm else "litert"), flush=True)


if __name__ == "__main__":
    main()
