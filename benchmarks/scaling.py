"""How the cost of features and of the training feed grows with the number of clips and of workers.

    python benchmarks/scaling.py [--clips 1000 10000 100000] [--workers 1 2] [--kinds features feed all]
                                 [--output FOLDER] [--quick]

The clips are real recordings of one second, each with a shift and a gain of its own, so that no two files are alike (a
cache by content would take copies for one): 32 kB each, written to a temporary folder (--scratch; 6.5 GB for 100,000 with
the cache of decoded clips), which is removed. Ten words, speakers of ten clips, 15 % of them for validation.

features: the clips as they are, a batch of 32 at a time; feed: the published micro_speech specification's; all (where asked
for): with its commented augmentations. "First" is the epoch that reads and decodes, "later" the one from the cache; its CPU
time, of parent and workers, tells more than clips a second where other programs run. Memory
is the peak resident set (VmHWM), shared libraries and mapped files included, of the parent and of the largest worker; each
line is a process of its own. Selection: `select_clips` alone. The slope is that of the two largest data sets.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from feed import FRONTEND, PLAIN, VARIED, WORDS
from real_words import copy_as_wav, speech_dir
from report import Report, within_limit

RATE = 16000
PER_SPEAKER = 10
LIMIT_BYTES = 1000.0  # for another clip of the data set: its path, speaker, class and places, but no sound
KINDS: dict[str, dict[str, Any]] = {
    "features": {"max_batches_pending": 16, "offset_range": None, "trim_threshold_db": None},
    "feed": PLAIN,
    "all": PLAIN | VARIED,
}
Row = dict[str, Any]


def make_clips(folder: Path, n: int) -> None:
    """Write n different clips, the same ones each time."""
    from mltk.audio.convert import to_int16
    from mltk.audio.read import read_audio_file
    from mltk.audio.write import write_audio_file

    paths = [path for word in WORDS for path in sorted((speech_dir() / "commands" / word).glob("*.flac"))]
    recordings = [to_int16(read_audio_file(path)) for path in paths]
    recordings = [np.resize(recording, RATE) for recording in recordings if len(recording) >= RATE // 2]
    noise = folder / "_background_noise_"
    noise.mkdir(parents=True)
    for path in sorted((speech_dir() / "noise").glob("*.flac")):
        copy_as_wav(path, noise)
    for word in WORDS:
        (folder / word).mkdir()
    template = folder / "template.wav"
    write_audio_file(str(template), np.zeros(RATE, np.float32), RATE)
    header = template.read_bytes()[: -2 * RATE]
    template.unlink()
    for number in range(n):
        turn, which = divmod(number, len(recordings))
        clip = np.roll(recordings[which], 61 * turn) * np.float32(1.0 - 0.003 * (turn % 200))
        speaker, take = divmod(number, PER_SPEAKER)
        name = f"{speaker * 2654435761 % 2**32:08x}_nohash_{take}.wav"
        (folder / WORDS[number % len(WORDS)] / name).write_bytes(header + clip.astype("<i2").tobytes())


def peak_bytes(pid: int | str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise SystemExit("Peak memory is read from /proc: Linux only")


def cpu_seconds(pid: int | str) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:  # a worker that was replaced
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run_selection(folder: str) -> Row:
    from mltk.datasets.selection import select_clips

    before, started = peak_bytes("self"), time.perf_counter()
    selection = select_clips(folder, WORDS)
    return {
        "seconds": time.perf_counter() - started,
        "clips": len(selection.training) + len(selection.validation),
        "parent_bytes": peak_bytes("self"),
        "grown_bytes": peak_bytes("self") - before,
    }


def run_feed(folder: str, kind: str, n_workers: int) -> Row:
    from mltk.datasets.feed import ParallelAudioDataGenerator
    from mltk.datasets.selection import select_clips
    from mltk.frontend.settings import AudioFeatureGeneratorSettings

    selection = select_clips(folder, WORDS)
    generator = ParallelAudioDataGenerator(
        frontend_settings=AudioFeatureGeneratorSettings(**FRONTEND),
        dtype="int8",
        **{**KINDS[kind], "cores": n_workers},
    )
    rates = []
    with generator.feed(selection.training, selection.noise_training, n_classes=len(WORDS)) as feed:
        for _ in range(2):
            processes = ["self", *(feed._pool._executor._processes if feed._pool else ())]
            n, started, cpu = 0, time.perf_counter(), sum(map(cpu_seconds, processes))
            for x, _labels in feed:
                n += len(x)
            rates.append(n / (time.perf_counter() - started))
        cpu = sum(map(cpu_seconds, processes)) - cpu
        assert feed._pool is not None
        workers = [peak_bytes(pid) for pid in feed._pool._executor._processes]
    return {
        "rates": rates,
        "cpu_ms": 1000 * cpu / n,
        "clips": n,
        "parent_bytes": peak_bytes("self"),
        "worker_bytes": max(workers),
    }


def measure(what: list[str], cache: Path) -> Row:
    environment = {**os.environ, "MLTK_CACHE_DIR": str(cache), "MLTK_CLIP_CACHE_MB": "8000"}
    command = [sys.executable, str(Path(__file__).resolve()), "--one", *what]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    lines = [line[4:] for line in done.stdout.splitlines() if line.startswith("ROW ")]
    if not lines:
        raise SystemExit(f"{' '.join(what)} failed:\n{done.stderr[-2000:]}")
    row: Row = json.loads(lines[0])
    return row


HEAD = (
    "| clips | what | workers | first, clips/s | later, clips/s | later, CPU ms a clip | parent MB | worker MB |",
    "| --- | --- | --- | --- | --- | --- | --- | --- |",
)


def line_of(row: Row) -> str:
    """Return a line of the table."""
    parent = f"{row['parent_bytes'] / 1e6:.0f}"
    if row["kind"] == "selection":
        return f"| {row['set']:,} | selection, {row['seconds']:.2f} s | | | | | {parent} | |"
    first, later = (f"{rate:.0f}" for rate in row["rates"])
    worker = f"{row['worker_bytes'] / 1e6:.0f}"
    name = f"| {row['set']:,} | {row['kind']} | {row['workers']}"
    return f"{name} | {first} | {later} | {row['cpu_ms']:.2f} | {parent} | {worker} |"


def measure_set(folder: Path, cache: Path, n: int, options: argparse.Namespace) -> list[Row]:
    rows = [{"set": n, "kind": "selection", **measure([str(folder), "selection", "0"], cache)}]
    print(line_of(rows[0]), flush=True)
    for kind in options.kinds:
        for workers in options.workers:
            shutil.rmtree(cache, ignore_errors=True)
            row = measure([str(folder), kind, str(workers)], cache)
            rows.append({"set": n, "kind": kind, "workers": workers, **row})
            print(line_of(rows[-1]), flush=True)
    return rows


def slopes(rows: list[Row]) -> dict[str, float]:
    """Return bytes a clip, from the second largest to the largest data set, by kind, workers and process."""
    sizes = sorted({row["set"] for row in rows})
    found: dict[str, float] = {}
    if len(sizes) < 2:
        return found
    of = {(row["set"], row["kind"], row.get("workers")): row for row in rows}
    for (size, kind, workers), row in of.items():
        small = of.get((sizes[-2], kind, workers))
        if size == sizes[-1] and small is not None:
            for process in ("parent", "worker"):
                if f"{process}_bytes" in row:
                    grown = row[f"{process}_bytes"] - small[f"{process}_bytes"]
                    name = f"{kind}, {workers} workers" if workers else kind
                    found[f"{name}, {process}"] = grown / (sizes[-1] - sizes[-2])
    return found


def largest_growth(grown: dict[str, float]) -> float:
    """Return the most bytes a clip that a parent and its largest worker grow together."""
    return max(
        slope + max(0.0, grown.get(name.removesuffix("parent") + "worker", 0.0))
        for name, slope in grown.items()
        if name.endswith("parent")
    )


def draw(rows: list[Row], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, (speed, memory) = pyplot.subplots(1, 2, figsize=(10, 4))
    lines = sorted({(row["kind"], row["workers"]) for row in rows if "workers" in row})
    for kind, workers in lines:
        mine = [row for row in rows if (row["kind"], row.get("workers")) == (kind, workers)]
        label = f"{kind}, {workers} worker" + "s" * (workers > 1)
        sizes = [row["set"] for row in mine]
        (line,) = speed.plot(sizes, [row["rates"][1] for row in mine], "o-", label=label)
        memory.plot(
            sizes, [row["parent_bytes"] / 1e6 for row in mine], "o-", color=line.get_color(), label=label
        )
        memory.plot(sizes, [row["worker_bytes"] / 1e6 for row in mine], "x:", color=line.get_color())
    speed.set(xscale="log", xlabel="clips of the data set", ylabel="clips a second", ylim=(0, None))
    memory.set(
        xscale="log", xlabel="clips of the data set", ylabel="peak MB: parent -, worker ...", ylim=(0, None)
    )
    speed.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=["features", "feed"])
    parser.add_argument("--scratch", help="folder for the clips and the cache; a temporary one is made in it")
    parser.add_argument(
        "--output", metavar="FOLDER", type=Path, help="write scaling.json and scaling.png there"
    )
    parser.add_argument("--quick", action="store_true", help="small data sets: does it run?")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        folder, kind, workers = options.one
        row = run_selection(folder) if kind == "selection" else run_feed(folder, kind, int(workers))
        print("ROW " + json.dumps(row), flush=True)
        return
    if options.quick:
        options.clips, options.kinds = [200, 1000], ["features", "feed"]
    rows: list[Row] = []
    print("\n".join(HEAD))
    for n in sorted(options.clips):
        with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
            make_clips(Path(scratch) / "set", n)
            rows += measure_set(Path(scratch) / "set", Path(scratch) / "cache", n, options)
    grown = slopes(rows)
    for name, slope in grown.items():
        print(f"{name}: {slope:.0f} bytes a clip")
    if options.output:
        figures = (
            [within_limit("memory for another clip", "bytes", largest_growth(grown), LIMIT_BYTES)]
            if grown
            else []
        )
        notes = [
            *HEAD,
            *map(line_of, rows),
            "",
            *(f"- {name}: {slope:.0f} bytes a clip" for name, slope in grown.items()),
        ]
        Report("scaling", "Data sets of many clips", figures, notes).write(options.output)
        draw(rows, options.output / "scaling.png")


if __name__ == "__main__":
    main()
