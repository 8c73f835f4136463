"""How long a person waits: start-up of the light commands, the first detection, an hour of audio on one core.

    python benchmarks/startup.py [--mltk SCRIPT] [--reference VENV/bin/python] [--quick] [--output DIR]

Each run is a fresh process of the console script `mltk` beside this Python (or of --mltk, such as that of an environment into
which the wheel was installed). Rounds go through all commands; medians of the wall time, and of the CPU time with that of its
children, which other programs on the machine change less. The models are those of ../shared (or MLTK_SHARED_DIR), the audio is
made of its words "yes" and "no" between read sentences. With --reference the reference toolkit's commands run in the same rounds
(silabs-mltk==0.20.0 numpy==1.26.4 "click<8.2" "typer<0.13" audiomentations==0.33.0).
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from report import Figure, Report, against_peer, reference_environment, shared_dir, table, within_limit

RATE_HZ = 16000
MODEL = "tflite_micro_speech.mltk.zip"
HELP_S, SUMMARY_S, FIRST_LINE_S, HOUR_S = 0.2, 0.6, 1.0, 60.0


@dataclass
class Timed:
    """A command and what its runs took.

    Attributes:
        what: for people.
        command: its arguments.
        limit_s: what it should stay below; None: nothing is promised.
        first_line: the time to the first line of its output counts, not to its end.
        runs: how often it runs at most.
        peer_of: name of our command that this is the peer of.
        wall, cpu: seconds of each run.
        peak_mb: the largest memory of all runs.

    """

    what: str
    command: list[str]
    limit_s: float | None = None
    first_line: bool = False
    runs: int = 1000
    peer_of: str = ""
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    peak_mb: float = 0.0

    def run(self) -> None:
        """Run once more."""
        started = time.perf_counter()
        process = subprocess.Popen(
            self.command,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment(self.peer_of != ""),
        )
        assert process.stdout is not None
        line = process.stdout.readline()
        to_first_line = time.perf_counter() - started
        rest = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0 or (self.first_line and not line.startswith(b"Heard ")):
            raise SystemExit(
                f"{' '.join(self.command)} exits with {process.returncode} after {(line + rest)[:200]!r}"
            )
        self.wall.append(to_first_line if self.first_line else time.perf_counter() - started)
        self.cpu.append(used.ru_utime + used.ru_stime)
        self.peak_mb = max(self.peak_mb, used.ru_maxrss / 1024)

    def row(self) -> str:
        """Return a row of the table of times."""
        wall, cpu = statistics.median(self.wall), statistics.median(self.cpu)
        return f"| {self.what} | {wall:.3f} | {min(self.wall):.3f} | {cpu:.3f} | {self.peak_mb:.0f} |"


def environment(of_reference: bool) -> dict[str, str]:
    """Return the environment of a user: compiled modules are kept, the reference does not see our package."""
    whole = reference_environment() if of_reference else os.environ
    hidden = ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED")
    return {name: value for name, value in whole.items() if name not in hidden}


def make_audio(folder: Path) -> None:
    """Lay words between sentences, the first word after half a second: a minute, an hour, and that at 44.1 kHz.

    In a process of its own: a new process counts the memory of its parent, which is to stay small, as its own.
    """
    import numpy as np
    from real_words import speech_dir

    from mltk.audio.read import read_audio_file
    from mltk.audio.resample import resample
    from mltk.audio.write import write_audio_file

    speech = speech_dir()
    words = [sorted((speech / "commands" / word).glob("*.flac")) for word in ("yes", "no")]
    sentences = sorted((speech / "negatives").glob("*.flac"))
    gap = np.zeros(RATE_HZ // 2, np.float32)
    pieces = []
    length = turn = 0
    while length < 3600 * RATE_HZ:
        said = [clips[(7 * turn + 3) % len(clips)] for clips in words]
        new = [part for clip in said for part in (gap, read_audio_file(clip), gap)]
        new.append(read_audio_file(sentences[turn % len(sentences)]))
        pieces += new
        length += sum(map(len, new))
        turn += 1
    stream = np.concatenate(pieces)[: 3600 * RATE_HZ]
    write_audio_file(str(folder / "minute.wav"), stream[: 60 * RATE_HZ], RATE_HZ)
    write_audio_file(str(folder / "hour.wav"), stream, RATE_HZ)
    write_audio_file(str(folder / "hour44.wav"), resample(stream, RATE_HZ, 44100), 44100)


def our_commands(mltk: list[str], models: Path, audio: Path, one_core: list[str]) -> list[Timed]:
    """Return what is measured of ours."""
    hear = [*mltk, "classify_audio", str(models / MODEL), "--audio"]
    commands = [
        Timed("python -c ''", [sys.executable, "-c", ""]),
        Timed("mltk --help", [*mltk, "--help"], HELP_S),
    ]
    for model in sorted([*models.glob("*.mltk.zip"), *models.glob("*.tflite")]):
        kinds = [[], ["--tflite"]] if model.suffix == ".zip" else [[]]
        for kind in kinds:
            arguments = ["summarize", *kind]
            commands.append(
                Timed(f"mltk {' '.join(arguments)} {model.name}", [*mltk, *arguments, str(model)], SUMMARY_S)
            )
        commands.append(Timed(f"mltk profile {model.name}", [*mltk, "profile", str(model)]))
    commands += [
        Timed(
            "first detection of a minute", [*hear, str(audio / "minute.wav")], FIRST_LINE_S, first_line=True
        ),
        Timed("a minute of audio", [*one_core, *hear, str(audio / "minute.wav")]),
        Timed("an hour of audio", [*one_core, *hear, str(audio / "hour.wav")], HOUR_S, runs=3),
        Timed("an hour of 44.1 kHz audio", [*one_core, *hear, str(audio / "hour44.wav")], HOUR_S, runs=3),
    ]
    return commands


def reference_commands(python: Path, models: Path) -> list[Timed]:
    """Return the same of the reference toolkit, where it has it."""
    mltk = str(python.parent / "mltk")
    summary = ["summarize", "--tflite", str(models / MODEL)]
    return [
        Timed("reference: mltk --help", [mltk, "--help"], peer_of="mltk --help", runs=3),
        Timed(
            f"reference: mltk summarize --tflite {MODEL}",
            [mltk, *summary],
            peer_of=f"mltk summarize --tflite {MODEL}",
            runs=3,
        ),
    ]


def figures_of(commands: Sequence[Timed]) -> list[Figure]:
    """Return what is held against a limit or the reference."""
    medians = {one.what: statistics.median(one.wall) for one in commands}
    figures = []
    for one in commands:
        if one.limit_s is not None:
            figures.append(within_limit(one.what, "s", medians[one.what], one.limit_s))
        if one.peer_of:
            figures.append(
                against_peer(
                    one.peer_of, "s", medians[one.peer_of], medians[one.what], "reference toolkit", 1.0
                )
            )
    return figures


def main() -> None:
    """Measure, print the tables, write the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mltk", type=Path, help="the console script to measure")
    parser.add_argument("--reference", type=Path, help="Python of the environment with silabs-mltk")
    parser.add_argument("--quick", action="store_true", help="three rounds only")
    parser.add_argument("--output", type=Path, help="write DIR/startup.json")
    parser.add_argument("--make-audio", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.make_audio:
        make_audio(options.make_audio)
        return
    beside = Path(sys.executable).parent / "mltk"
    without_script = [sys.executable, "-c", "from mltk.cli.main import main; main()"]
    script = options.mltk or beside
    mltk = [str(script)] if script.exists() else without_script
    shared = shared_dir()
    one_core = (
        ["taskset", "-c", str(min(os.sched_getaffinity(0)))] if hasattr(os, "sched_getaffinity") else []
    )
    rounds = 3 if options.quick else 11
    with tempfile.TemporaryDirectory(prefix="mltk-startup-") as folder:
        subprocess.run([sys.executable, __file__, "--make-audio", folder], check=True)
        commands = our_commands(mltk, shared / "models", Path(folder), one_core)
        if options.reference:
            commands += reference_commands(options.reference, shared / "models")
        for number in range(rounds + 1):
            for command in commands:
                if len(command.wall) < command.runs:
                    command.run()
            if number == 0:  # what was read and compiled for the first time
                for command in commands:
                    command.wall.clear()
                    command.cpu.clear()
    times = [
        "| command | wall s, median | least | CPU s, median | peak MB |",
        "| --- | --- | --- | --- | --- |",
    ]
    times += [command.row() for command in commands]
    report = Report("startup", "Start-up, first detection, an hour of audio", figures_of(commands), times)
    print("\n".join([f"Measured: {' '.join(mltk)}", "", *table(report.figures), "", *times]))
    if options.output:
        report.write(options.output)


if __name__ == "__main__":
    main()
