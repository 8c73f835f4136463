"""Samples a second of the training feed beside the reference toolkit's, on the same files with the same settings.

    python benchmarks/feed.py [--reference PYTHON] [--epochs N] [--rounds N] [--output FOLDER]

The settings are those of the published micro_speech specification, with its commented augmentations (speed, pitch, VTLP,
loudness, noise) and without them, and all processors (cores=1.0; the specification's 0.35 would leave the second one to
the training). Each epoch is measured from its first batch's order to its last batch; the first epoch of
each process is left out: it starts the workers. PYTHON has silabs-mltk==0.20.0, numpy==1.26.4, click<8.2, typer<0.13 and
audiomentations==0.33.0. The processes of both take turns. CPU seconds are those of a whole process and its workers, start-up
included.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from real_words import copy_as_wav, speech_dir
from report import Figure, Report, against_peer, reference_environment

from mltk.datasets.feed import ParallelAudioDataGenerator
from mltk.datasets.selection import select_clips
from mltk.frontend.settings import AudioFeatureGeneratorSettings

CLASSES = ["yes", "no", "_unknown_", "_silence_"]
WORDS = ["yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go"]
FRONTEND: dict[str, Any] = {
    "sample_rate_hz": 16000, "sample_length_ms": 1000, "window_size_ms": 30, "window_step_ms": 20,
    "filterbank_n_channels": 40, "filterbank_upper_band_limit": 7500.0, "filterbank_lower_band_limit": 125.0,
    "noise_reduction_enable": True, "noise_reduction_smoothing_bits": 10, "noise_reduction_even_smoothing": 0.025,
    "noise_reduction_odd_smoothing": 0.06, "noise_reduction_min_signal_remaining": 0.05, "pcan_enable": True,
    "pcan_strength": 0.95, "pcan_offset": 80.0, "pcan_gain_bits": 21, "log_scale_enable": True, "log_scale_shift": 6,
}  # fmt: skip
PLAIN: dict[str, Any] = {
    "cores": 1.0, "max_batches_pending": 16, "unknown_class_percentage": 3.0, "silence_class_percentage": 0.2,
    "offset_range": (0.0, 1.0), "trim_threshold_db": 20, "bg_noise_range": (0.0, 0.3), "bg_noise_dir": "_background_noise_",
}  # fmt: skip
VARIED = {
    "loudness_range": (0.6, 3.0), "speed_range": (0.6, 1.9), "pitch_range": (0.7, 1.4), "vtlp_range": (0.7, 1.4),
}  # fmt: skip
KINDS = {"as published": PLAIN, "all augmentations": PLAIN | VARIED}
GOALS = {"as published": 8.0, "all augmentations": 5.0}


def make_folder(folder: Path) -> None:
    """Write real recordings as WAV (the reference takes no FLAC) into a data set's layout."""
    sources = {word: speech_dir() / "commands" / word for word in WORDS}
    for name, source in {**sources, "_background_noise_": speech_dir() / "noise"}.items():
        (folder / name).mkdir()
        for path in sorted(source.rglob("*.flac")):
            copy_as_wav(path, folder / name)


def run_ours(folder: str, epochs: int, settings: dict[str, Any]) -> None:
    """Print a JSON line for each epoch: samples, seconds."""
    frontend = AudioFeatureGeneratorSettings(**FRONTEND)
    generator = ParallelAudioDataGenerator(dtype="int8", frontend_settings=frontend, **settings)
    selection = select_clips(
        folder,
        CLASSES,
        unknown_class_percentage=settings["unknown_class_percentage"],
        silence_class_percentage=settings["silence_class_percentage"],
    )
    with generator.feed(selection.training, selection.noise_training, n_classes=len(CLASSES)) as feed:
        for _ in range(epochs):
            n, started = 0, time.perf_counter()
            for x, _labels in feed:
                n += len(x)
            print("EPOCH " + json.dumps([n, time.perf_counter() - started]), flush=True)


def measure(command: list[str], environment: dict[str, str]) -> tuple[list[float], float]:
    """Return each epoch's samples a second but the first's, and the CPU seconds a sample of the whole process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    epochs = [json.loads(line[6:]) for line in done.stdout.splitlines() if line.startswith("EPOCH ")]
    if len(epochs) < 2:
        raise SystemExit(f"{command[0]} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return [n / seconds for n, seconds in epochs[1:]], cpu / sum(n for n, _ in epochs)


def main() -> None:
    """Measure both, in turns."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reference", "--peer", metavar="PYTHON", help="of the environment with silabs-mltk")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", metavar="FOLDER", type=Path, help="write feed.json there")
    parser.add_argument("--ours", nargs=2, metavar=("FOLDER", "KIND"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.ours:
        run_ours(options.ours[0], options.epochs, dict(KINDS[options.ours[1]]))
        return
    with tempfile.TemporaryDirectory() as folder:
        make_folder(Path(folder))
        figures, notes = compare(folder, options)
    if options.output:
        Report("feed", "The training feed, two workers, samples a second", figures, notes).write(
            options.output
        )


def commands_of(
    folder: str, kind: str, options: argparse.Namespace
) -> dict[str, tuple[list[str], dict[str, str]]]:
    """Return who -> command and environment."""
    here = Path(__file__).resolve()
    ours = [sys.executable, str(here), "--epochs", str(options.epochs), "--ours", folder, kind]
    commands = {"ours": (ours, dict(os.environ))}
    if options.reference:
        told = json.dumps({**KINDS[kind], "frontend": FRONTEND, "classes": CLASSES})
        peer = [options.reference, str(here.with_name("feed_peer.py")), folder, str(options.epochs), told]
        commands["reference"] = (peer, reference_environment())
    return commands


def compare(folder: str, options: argparse.Namespace) -> tuple[list[Figure], list[str]]:
    """Measure in turns and print; return the figures against the reference, and all lines printed."""
    lines = [
        "| settings | who | samples/s, median (range) | CPU ms a sample | ratio |",
        "| --- | --- | --- | --- | --- |",
    ]
    print("\n".join(lines))
    figures = []
    for kind in KINDS:
        commands = commands_of(folder, kind, options)
        rates: dict[str, list[float]] = {who: [] for who in commands}
        cpu: dict[str, list[float]] = {who: [] for who in commands}
        for _ in range(options.rounds):
            for who, (command, environment) in commands.items():
                epochs, seconds = measure(command, environment)
                rates[who] += epochs
                cpu[who].append(seconds)
        middle = {who: statistics.median(every) for who, every in rates.items()}
        for who, every in rates.items():
            lines.append(
                f"| {kind} | {who} | {middle[who]:.0f} ({min(every):.0f} to {max(every):.0f}) "
                f"| {1000 * statistics.median(cpu[who]):.2f} | {middle['ours'] / middle[who]:.1f} |"
            )
            print(lines[-1], flush=True)
        if "reference" in middle:
            figure = against_peer(
                f"training feed, {kind}",
                "samples/s",
                middle["ours"],
                middle["reference"],
                "reference",
                GOALS[kind],
                more_is_better=True,
            )
            figures.append(figure)
    return figures, lines


if __name__ == "__main__":
    main()
