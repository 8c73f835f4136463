"""A whole training of a published specification beside the reference toolkit's: the same command on the same files.

    python benchmarks/training.py [--reference PYTHON | --reference-log FILE] [--specification FILE]
        [--seeds 42 1 2] [--epochs N] [--output DIR] [--quick]

The specification is ../shared/seeds/tflite_micro_speech.py (or that of MLTK_SHARED_DIR) where none is named.

Real recordings (`real_words.py`, ../shared/speech or MLTK_SPEECH_DIR) as WAV, which the reference needs; a fifth of the
speakers is kept apart. Each toolkit runs `mltk train SPECIFICATION --clean` on the others until early stopping, with caches
of its own that are empty at first. Every line is written down with its second, so a log tells when each epoch ended:

- whole: from the command to its end, archive written and both models scored;
- archive: until the archive with the .tflite was written;
- same accuracy: until the best validation accuracy so far was no lower than what the reference's own evaluation said of
  the int8 model that it kept (each toolkit draws its own validation clips), and what a run has to do after its last
  epoch (convert, archive, score);
- kept apart: the int8 models' accuracy on the same clips, of the speakers and noises that neither heard: of the words
  together, and of each class. This is what tells whether the models are alike.

PYTHON has silabs-mltk==0.20.0, numpy==1.26.4, click<8.2, typer<0.13 and audiomentations==0.33.0. With --output the
report is DIR/training.json, and each run's log is in DIR/training. reference.json there, its archive beside it, is what
--reference-log takes instead of running the reference again.
"""

import argparse
import itertools
import os
import re
import shutil
import statistics
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from real_words import copy_as_wav, lay_out
from report import Figure, Report, against_peer, reference_environment, shared_dir
from timed_run import TimedRun, run_timed
from trainings import accuracy

from mltk.datasets.folder import SILENCE
from mltk.evaluation.folder import samples_of_folder
from mltk.evaluation.samples import Samples
from mltk.models.loading import load_mltk_model
from mltk.tflite.convert_quiet import load_tensorflow
from mltk.tflite.model import TfliteModel

# A line of an epoch that is done, in either toolkit's words.
EPOCH = re.compile(r"\bloss:? [\d.]+.*\bval_accuracy:? ([\d.]+)")
ARCHIVED = r"(Wrote|Updating) .*\.mltk\.zip"
# What the reference says of the int8 model, last of all.
EVALUATED = re.compile(r"Overall accuracy: ([\d.]+)%")
# The speakers kept apart, and with them all else of the layout.
LAYOUT_SEED = 1


@dataclass(frozen=True)
class Figures:
    """What one training took and gave.

    Attributes:
        who: toolkit and seed.
        whole: seconds of the command.
        archive: seconds until the archive was written.
        first_epoch: seconds until the first epoch was done.
        epochs: number of epochs.
        epoch: median seconds of the epochs but the first.
        best: the best validation accuracy.
        reached: seconds until the best so far was no lower than the reference's kept model, and what follows the
            last epoch; None: never.
        kept_apart: accuracy on the speakers kept apart, of all words, and of each class.
        load: how much of the machine the command had.

    """

    who: str
    whole: float
    archive: float
    first_epoch: float
    epochs: int
    epoch: float
    best: float
    reached: float | None
    kept_apart: dict[str, float]
    load: str


def make_folders(out: Path) -> tuple[Path, Path]:
    """Write the recordings as WAV: those to train with, and those of the speakers kept apart."""
    for side in lay_out(out / "links", LAYOUT_SEED):
        for path in sorted(side.glob("*/*.flac")):
            copy_as_wav(path, out / side.name / path.parent.name)
    return out / "train", out / "test"


def train_reference(peer: str, specification: Path, train: Path, folder: Path, extra: list[str]) -> TimedRun:
    """Run the reference's command; its archive is in `folder` afterwards."""
    clips = folder / "clips"  # it writes lists of the files beside them
    shutil.copytree(train, clips)
    shutil.copy(specification, folder)
    own = {"HOME": str(folder), "MLTK_CACHE_DIR": str(folder / "cache"), "PYTHONUNBUFFERED": "1"}
    environment = reference_environment() | own
    script = Path(__file__).resolve().with_name("training_peer.py")
    command = [peer, str(script), str(clips), "train", f"./{specification.name}", "--clean", *extra]
    return run_timed(command, folder, environment)


def train_ours(specification: Path, train: Path, folder: Path, seed: int, extra: list[str]) -> TimedRun:
    """Run our command; the archive is in `folder` afterwards."""
    folder.mkdir()
    shutil.copy(specification, folder)
    environment = os.environ | {"MLTK_CACHE_DIR": str(folder / "cache"), "PYTHONUNBUFFERED": "1"}
    start = [sys.executable, "-c", "from mltk.cli.main import main; main()", "train"]
    options = ["--clean", "--dataset", str(train), "--seed", str(seed), *extra]
    return run_timed([*start, f"./{specification.name}", *options], folder, environment)


def epochs_of(run: TimedRun) -> list[tuple[float, float]]:
    """Return (seconds since the start, validation accuracy) of each epoch."""
    found = [(seconds, EPOCH.search(text)) for seconds, text in run.lines]
    epochs = [(seconds, float(match[1])) for seconds, match in found if match]
    if not epochs:
        raise SystemExit(f"No epoch in the output of {run.command[0]}")
    return epochs


def wanted_accuracy(run: TimedRun) -> float:
    """Return what the reference said of the model that it kept; the best epoch's of a run of ours."""
    told = [float(match[1]) / 100 for _, text in run.lines if (match := EVALUATED.search(text))]
    return told[-1] if told else max(value for _, value in epochs_of(run))


def figures(who: str, run: TimedRun, wanted: float, kept_apart: dict[str, float]) -> Figures:
    """Return the figures of a run; `wanted` is the validation accuracy to reach."""
    epochs = epochs_of(run)
    times = [seconds for seconds, _ in epochs]
    lengths = [later - earlier for earlier, later in itertools.pairwise(times)]
    archive = max(seconds for seconds, text in run.lines if re.search(ARCHIVED, text))
    reached = next((seconds for seconds, value in epochs if value >= wanted), None)
    return Figures(
        who=who,
        whole=run.seconds,
        archive=archive,
        first_epoch=times[0],
        epochs=len(epochs),
        epoch=statistics.median(lengths or times),
        best=max(value for _, value in epochs),
        reached=None if reached is None else reached + run.seconds - times[-1],
        kept_apart=kept_apart,
        load=run.load_text(),
    )


def score(archive: Path, classes: list[str], samples: Samples) -> dict[str, float]:
    """Return the accuracy of an archive's int8 model on all words, and on the samples of each class."""
    with zipfile.ZipFile(archive) as file:
        names = [name for name in file.namelist() if name.endswith(".tflite") and ".float32." not in name]
        model = TfliteModel(file.read(names[0]))
    posteriors, class_ids = model.predict_batch(samples.x), samples.class_ids
    groups = {label: class_ids == index for index, label in enumerate(classes)}
    groups = {"words": class_ids != classes.index(SILENCE), **groups}
    return {
        name: accuracy(class_ids[chosen], posteriors[chosen])
        for name, chosen in groups.items()
        if chosen.any()
    }


def table(rows: list[Figures]) -> str:
    """Return the figures as a table; ratios are the first row's seconds over this row's."""
    first = rows[0]
    lines = [
        "| training | whole, s | archive, s | first epoch, s | epochs | s an epoch | best val | same accuracy, s | kept apart "
        "| load |",
        "|" + " --- |" * 10,
    ]
    for row in rows:
        reached = "never" if row.reached is None else f"{row.reached:.1f} ({first.whole / row.reached:.1f} x)"
        classes = ", ".join(f"{name} {value:.3f}" for name, value in row.kept_apart.items())
        lines.append(
            f"| {row.who} | {row.whole:.1f} ({first.whole / row.whole:.1f} x) | {row.archive:.1f} "
            f"({first.archive / row.archive:.1f} x) | {row.first_epoch:.1f} | {row.epochs} | {row.epoch:.2f} "
            f"({first.epoch / row.epoch:.1f} x) | {row.best:.3f} | {reached} | {classes} | {row.load} |"
        )
    return "\n".join(lines)


def report(rows: list[Figures]) -> Report:
    """Return what `make bench` shows: the median of our runs beside the reference's, if it ran."""
    ours = [row for row in rows if row.who != "reference"]
    notes = table(rows).splitlines()
    made: list[Figure] = []
    for peer in rows:
        if peer.who != "reference":
            continue
        whole = statistics.median(row.whole for row in ours)
        made.append(against_peer("a whole training, command to end", "s", whole, peer.whole, "reference", 3))
        reached = [row.reached for row in ours if row.reached is not None]
        if reached:
            what = f"until the reference's validation accuracy ({len(reached)} of {len(ours)} seeds reach it)"
            made.append(against_peer(what, "s", statistics.median(reached), peer.whole, "reference", 3))
        words = statistics.mean(row.kept_apart["words"] for row in ours)
        notes.append("")
        notes.append(
            f"Words of the speakers kept apart, int8: {words:.3f} (mean), reference {peer.kept_apart['words']:.3f}"
        )
    return Report("training", "A whole training of the published micro_speech specification", made, notes)


def reference_run(options: argparse.Namespace, train: Path, work: Path) -> tuple[TimedRun, Path] | None:
    """Return the reference's run and its archive: an earlier one, a new one, or none."""
    if options.reference_log:
        return TimedRun.load(options.reference_log), options.reference_log.with_suffix(".mltk.zip")
    if not options.reference:
        return None
    folder = work / "reference"
    folder.mkdir()
    run = train_reference(options.reference, options.specification, train, folder, limit(options))
    archive = folder / f"{options.specification.stem}.mltk.zip"
    if options.output:
        run.save(options.output / "training" / "reference.json")
        archive = Path(shutil.copy(archive, options.output / "training" / "reference.mltk.zip"))
    return run, archive


def limit(options: argparse.Namespace) -> list[str]:
    """Return the option for a quick look."""
    return ["--epochs", str(options.epochs)] if options.epochs else []


def main() -> None:
    """Train with both and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--specification",
        type=lambda name: Path(name).resolve(),
        default=shared_dir() / "seeds" / "tflite_micro_speech.py",
    )
    parser.add_argument("--reference", "--peer", help="Python of the environment with silabs-mltk")
    parser.add_argument("--reference-log", type=Path, help="an earlier reference.json, its archive beside it")
    parser.add_argument("--seeds", type=int, nargs="+", default=[42, 1, 2])
    parser.add_argument("--epochs", type=int, help="stop each training after so many (a quick look)")
    parser.add_argument("--quick", action="store_true", help="one seed, three epochs: does it run?")
    parser.add_argument("--output", type=Path, help="folder for training.json and the logs")
    options = parser.parse_args()
    if options.quick:
        options.seeds, options.epochs = options.seeds[:1], options.epochs or 3
    if options.reference:
        options.reference = str(Path(options.reference).absolute())
    if not options.specification.is_file():
        parser.error(f"there is no {options.specification}: set MLTK_SHARED_DIR or name a --specification")
    if options.output:
        (options.output / "training").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        train, test = make_folders(work / "data")
        load_tensorflow()  # without its chatter: the specification imports it
        model: Any = load_mltk_model(options.specification, execute_spec=True)
        samples = samples_of_folder(model, test)
        classes = list(model.classes)
        runs = {}
        reference = reference_run(options, train, work)
        if reference:
            runs["reference"] = reference
        for seed in options.seeds:
            folder = work / f"seed{seed}"
            run = train_ours(options.specification, train, folder, seed, limit(options))
            runs[f"ours, seed {seed}"] = run, folder / f"{options.specification.stem}.mltk.zip"
            if options.output:
                run.save(options.output / "training" / f"ours-{seed}.json")
        wanted = wanted_accuracy(next(iter(runs.values()))[0])
        rows = [
            figures(who, run, wanted, score(archive, classes, samples))
            for who, (run, archive) in runs.items()
        ]
    print(table(rows))
    if options.output:
        report(rows).write(options.output)


if __name__ == "__main__":
    main()
