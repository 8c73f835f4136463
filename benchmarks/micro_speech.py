"""Train tflite_micro_speech on real recordings and score it on speakers it has not heard, for several seeds.

    python benchmarks/micro_speech.py [--seeds 1 2 3] [--out DIR]

Needs the extra 'train' and ../shared/speech (or MLTK_SPEECH_DIR). For each seed a fifth of the speakers and of the noise
recordings is kept apart, the model is trained on the rest (its own validation split comes out of that), and the int8 model is
scored on both. The columns of the reference toolkit are its figures with the same specification, measured once on
the same recordings (on other speakers than ours; see the README).
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from real_words import lay_out

from mltk.audio.read import read_audio_file
from mltk.audio.write import write_audio_file

MODEL = "tflite_micro_speech"
CLASSES = ["yes", "no", "_unknown_", "_silence_"]
REFERENCE = {
    "own validation": {"accuracy": 0.850, "yes": 0.945, "no": 0.903, "_unknown_": 0.735},
    "other speakers": {"yes": 0.878, "no": 0.733, "_unknown_": 0.847, "noise as _silence_": 0.0},
    "training": {"minutes": 8.7},
}


def mltk(*arguments: str, folder: Path) -> None:
    """Run the command line as a user would."""
    command = [sys.executable, "-c", "from mltk.cli.main import main; main()", *arguments]
    environment = os.environ | {"MLTK_CACHE_DIR": str(folder / "cache")}
    with (folder / "commands.log").open("a") as log:
        log.write(f"$ mltk {' '.join(arguments)}\n")
        log.flush()
        code = subprocess.run(
            command, cwd=folder, check=False, env=environment, stdout=log, stderr=log
        ).returncode
    if code:
        raise SystemExit(f"mltk {arguments[0]} ended with {code}: see {folder / 'commands.log'}")


def read_scores(folder: Path, kind: str) -> dict[str, float]:
    """Return the accuracy of all and of each class that the last training or evaluation left (kind: h5 or tflite)."""
    results = json.loads(
        (folder / "cache" / "models" / MODEL / "eval" / kind / "eval-results.json").read_text()
    )
    by_class = dict(zip(results["classes"], results["class_accuracies"], strict=True))
    return {"accuracy": results["overall_accuracy"], **by_class}


def scores(folder: Path, dataset: Path, *, tflite: bool = True) -> dict[str, float]:
    """Score the trained model on a folder."""
    mltk("evaluate", MODEL, *(["--tflite"] if tflite else []), "--dataset", str(dataset), folder=folder)
    return read_scores(folder, "tflite" if tflite else "h5")


def noise_folder(test: Path) -> Path:
    """Cut the noise recordings kept apart into pieces of a second, in a folder to score as _silence_."""
    pieces = test.parent / "test_noise" / "_silence_"
    for recording in sorted((test / "_background_noise_").iterdir()):
        samples, rate_hz = read_audio_file(recording, return_numpy=True, return_sample_rate=True)
        for number in range(len(samples) // rate_hz):
            piece = samples[number * rate_hz : (number + 1) * rate_hz]
            write_audio_file(str(pieces / f"{recording.stem}_{number}.wav"), piece, rate_hz)
    return pieces.parent


def silence_folder(test: Path) -> Path:
    """Make a folder with nothing but the recordings that the data set itself calls _silence_."""
    only = test.parent / "test_silence"
    only.mkdir(exist_ok=True)
    if not (only / "_silence_").is_symlink():
        (only / "_silence_").symlink_to(test / "_silence_")
    return only


def words_folder(test: Path) -> Path:
    """Make a folder with the words of the speakers kept apart, without noise."""
    only = test.parent / "test_words"
    only.mkdir(exist_ok=True)
    for word in test.iterdir():
        if word.name not in ("_background_noise_", "_silence_") and not (only / word.name).is_symlink():
            (only / word.name).symlink_to(word)
    return only


def one_seed(out: Path, seed: int, epochs: int | None) -> dict[str, dict[str, float]]:
    """Train and score with one seed."""
    folder = out / f"seed{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    train, test = lay_out(folder / "data", seed)
    limit = ["--epochs", str(epochs)] if epochs else []
    started = time.monotonic()
    mltk("train", MODEL, "--clean", "--dataset", str(train), "--seed", str(seed), *limit, folder=folder)
    minutes = (time.monotonic() - started) / 60
    own = {kind: read_scores(folder, kind) for kind in ("tflite", "h5")}
    noise = scores(folder, noise_folder(test))["_silence_"]
    silence = scores(folder, silence_folder(test))["_silence_"]
    return {
        "own validation": own["tflite"],
        "own validation, float": own["h5"],
        "other speakers": scores(folder, words_folder(test))
        | {"noise as _silence_": noise, "_silence_ recordings": silence},
        "other speakers, float": scores(folder, words_folder(test), tflite=False),
        "training": {"minutes": minutes},
    }


def table(runs: list[dict[str, dict[str, float]]]) -> str:
    """Return the figures as a table: mean, spread (lowest to highest) and the reference's."""
    lines = [
        "| measured on | figure | mean | lowest - highest | reference toolkit |",
        "| --- | --- | --- | --- | --- |",
    ]
    for part in runs[0]:
        for figure in runs[0][part]:
            values = [run[part][figure] for run in runs if run[part][figure] is not None]
            if not values or any(map(math.isnan, values)):
                continue
            reference = REFERENCE.get(part, {}).get(figure)
            shown = f"{reference:.3f}" if reference is not None else ""
            mean = statistics.mean(values)
            lines.append(
                f"| {part} | {figure} | {mean:.3f} | {min(values):.3f} - {max(values):.3f} | {shown} |"
            )
    return "\n".join(lines)


def main() -> None:
    """Run all seeds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--out", type=Path, default=Path("build/benchmarks/micro_speech"))
    parser.add_argument("--epochs", type=int, help="stop each training after so many epochs (a quick look)")
    options = parser.parse_args()
    out = options.out.resolve()
    runs = []
    for seed in options.seeds:
        runs.append(one_seed(out, seed, options.epochs))
        print(f"seed {seed}: {json.dumps(runs[-1])}", flush=True)
    (out / "results.json").write_text(
        json.dumps(dict(zip(map(str, options.seeds), runs, strict=True)), indent=2) + "\n"
    )
    print(table(runs))


if __name__ == "__main__":
    main()
