"""Train keyword_spotting_numbers on four speakers' digits and score it on the fifth, each speaker in turn.

    python benchmarks/digits.py [--speakers george ...] [--epochs N] [--seed N] [--out DIR]

Needs the extras 'train' and 'micro' and ../shared/speech (or MLTK_SPEECH_DIR). The digits are recordings at 8 kHz, resampled
by the feed. The class _unknown_ is trained with the words of ../shared/speech/words that are no digits, brought to 8 kHz too, so
that the bandwidth does not tell them apart. Scored are all 500 digits of the speaker left out, among all eleven outputs, by the
float model, the .tflite in LiteRT, and the .tflite in TFLite-Micro. The epoch is chosen by clips of the four speakers. A run that
is cut goes on where it was.
"""

import argparse
import statistics
import time
from pathlib import Path

from real_words import link, speech_dir
from trainings import FLOAT, LITERT, TFLM, ResultFile, accuracy, score, train

from mltk.audio.read import read_audio_file
from mltk.audio.resample import resample
from mltk.audio.write import write_audio_file
from mltk.datasets.folder import BACKGROUND_NOISE

MODEL = "keyword_spotting_numbers"
SPEAKERS = ("george", "jackson", "nicolas", "theo", "yweweler")
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
RATE_HZ = 8000


def lay_out(out: Path, speaker: str) -> tuple[Path, Path]:
    """Make folders of links with the other speakers' digits, other words and noise, and with the speaker's digits."""
    train_folder, test_folder = out / "train", out / "test"
    for clip in sorted((speech_dir() / "digits").glob("*/*.flac")):
        digit, name, _ = clip.stem.split("_")
        side = test_folder if name == speaker else train_folder
        link(clip, side / DIGITS[int(digit)] / clip.name)
    for clip in sorted((speech_dir() / "words").glob("*/*.flac")):
        copy = train_folder / clip.parent.name / f"{clip.stem}.wav"
        if clip.parent.name not in DIGITS and not copy.exists():
            samples, rate_hz = read_audio_file(clip, return_numpy=True, return_sample_rate=True)
            write_audio_file(str(copy), resample(samples, rate_hz, RATE_HZ), RATE_HZ)
    for noise in sorted((speech_dir() / "noise").glob("*.flac")):
        link(noise, train_folder / BACKGROUND_NOISE / noise.name)
    return train_folder, test_folder


def one_speaker(out: Path, speaker: str, seed: int, epochs: int | None) -> dict[str, float]:
    """Train without a speaker; return the accuracies on that speaker, and the minutes it took."""
    train_folder, test_folder = lay_out(out / "data", speaker)
    started = time.monotonic()
    archive = train(MODEL, out, train_folder, seed, epochs)
    minutes = (time.monotonic() - started) / 60
    _, class_ids, posteriors = score(archive, test_folder)
    return {kind: accuracy(class_ids, rows) for kind, rows in posteriors.items()} | {"minutes": minutes}


def table(results: dict[str, dict[str, float]]) -> str:
    """Return the accuracies: a row a speaker, and the mean."""
    kinds = (FLOAT, LITERT, TFLM)
    rows = ["| speaker left out | " + " | ".join(kinds) + " |", "| --- " * (len(kinds) + 1) + "|"]
    for speaker, result in results.items():
        rows.append(f"| {speaker} | " + " | ".join(f"{result[kind]:.3f}" for kind in kinds) + " |")
    means = (statistics.mean(result[kind] for result in results.values()) for kind in kinds)
    return "\n".join([*rows, "| mean | " + " | ".join(f"{mean:.3f}" for mean in means) + " |"])


def main() -> None:
    """Run the speakers that are not done yet and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--speakers", nargs="+", choices=SPEAKERS, default=SPEAKERS)
    parser.add_argument("--epochs", type=int, help="instead of the specification's number")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("build/benchmarks/digits"))
    options = parser.parse_args()
    out = options.out.resolve() / f"seed{options.seed}-epochs{options.epochs or 'all'}"
    done = ResultFile(out / "results.json")
    for speaker in options.speakers:
        if speaker not in done.results:
            done.add(speaker, one_speaker(out / speaker, speaker, options.seed, options.epochs))
            print(f"{speaker}: {done.results[speaker]}", flush=True)
    print(table({speaker: done.results[speaker] for speaker in options.speakers}))


if __name__ == "__main__":
    main()
