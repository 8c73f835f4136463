"""Damage .tflite files in every way, and see that nothing but an MltkError comes of it: reader, compiler, kernels, C.

    python benchmarks/fuzz_compile.py [--mutations 100000] [--seed 0] [--programs 1000] [--only N] [MODEL.tflite ...]

Each mutation of a small model (fuzz_seeds.py, and the files given) is read, planned, written as C and run twice in a process
whose kernels are built with AddressSanitizer and UndefinedBehaviorSanitizer; half of them once more with every tensor in
memory of its own, fenced with poisoned bytes: the results must be the same. Some of those that ran are built as C with both
sanitizers, and must give the bytes that the engine gave. A crash, a hang, or any other exception ends up in the report with
its number: `--only N` repeats it. Needs gcc.
"""

import argparse
import collections
import json
import os
import random
import subprocess
import sys
import sysconfig
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

from fuzz_mutations import mutate
from fuzz_seeds import seed_models

ROOT = Path(__file__).resolve().parents[1]
SANITIZE = (
    "-O1",
    "-g",
    "-fno-omit-frame-pointer",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
)
SILENT_S = 120  # no mutation finished for so long: a hang
BATCH = 60  # generated models in one program


def build_kernels(folder: Path) -> Path:
    """Build the extension `_kernels` with sanitizers; return its path."""
    import nanobind

    from mltk.tflite.plan.kernels import KERNELS

    native = ROOT / "src" / "mltk" / "native"
    objects = []
    for source in sorted({native / "kernels" / kernel.source for kernel in KERNELS.values()}):
        objects.append(folder / f"{source.stem}.o")
        command = [
            "gcc",
            "-std=c99",
            "-fPIC",
            "-ffp-contract=off",
            *SANITIZE,
            "-c",
            source,
            "-o",
            objects[-1],
        ]
        subprocess.run(command, check=True)
    source_dir = Path(nanobind.source_dir())
    output = folder / f"_kernels{sysconfig.get_config_var('EXT_SUFFIX')}"
    includes = (
        nanobind.include_dir(),
        source_dir.parent / "ext" / "robin_map" / "include",
        sysconfig.get_path("include"),
        native / "kernels",
    )
    # The binding itself without the undefined-behaviour checks: nanobind's casts are not ours.
    flags = ["-std=c++17", "-fPIC", "-fvisibility=hidden", "-DNDEBUG", "-fno-strict-aliasing", *SANITIZE[:3]]
    parts = []
    for part in (native / "bindings" / "kernels.cpp", source_dir / "nb_combined.cpp"):
        parts.append(folder / f"{part.stem}.binding.o")
        command = ["g++", *flags, *(f"-I{path}" for path in includes), "-c", part, "-o", parts[-1]]
        subprocess.run(command, check=True)
    subprocess.run(["g++", "-shared", *SANITIZE, *parts, *objects, "-o", output], check=True)
    return output


def environment(kernels: Path) -> dict[str, str]:
    """Return the environment in which Python can load that extension."""

    def library(name: str) -> str:
        found = subprocess.run(
            ["gcc", f"-print-file-name={name}"], check=True, capture_output=True, text=True
        )
        return str(Path(found.stdout.strip()).resolve())

    # Exceptions can not be thrown through ASan unless the C++ library is there before it looks.
    return {
        **os.environ,
        "LD_PRELOAD": f"{library('libasan.so')} {library('libstdc++.so')}",
        "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1:quarantine_size_mb=32:malloc_context_size=4:exitcode=99",
        "UBSAN_OPTIONS": "print_stacktrace=1:exitcode=98",
        "MLTK_FUZZ_KERNELS": str(kernels),
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]),
    }


def run_worker(first: int, options: argparse.Namespace, folder: Path, env: dict[str, str]) -> tuple[int, str]:
    """Run mutations from a number on in another process; return (exit code, the end of what it said)."""
    command = [sys.executable, __file__, "--worker", str(first), "--folder", str(folder)]
    command += ["--mutations", str(options.mutations), "--seed", str(options.seed), *options.models]
    command += ["--programs", str(options.programs)]
    log = folder / "worker.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=env, stdout=output, stderr=subprocess.STDOUT)
        while True:
            try:
                code = process.wait(5)
                break
            except subprocess.TimeoutExpired:
                if time.time() - (folder / "progress").stat().st_mtime > SILENT_S:
                    process.kill()
                    process.wait()
                    code = -1000
                    break
    return code, log.read_text(errors="replace")[-6000:]


def worker(options: argparse.Namespace) -> None:
    """Try mutations; write the number of each before it, and the counts at the end."""
    from fuzz_examine import Examiner, use_kernels

    use_kernels(os.environ["MLTK_FUZZ_KERNELS"])
    warnings.simplefilter("error")
    examiner = Examiner()
    seeds = load_seeds(options.models)
    progress, counts_path = options.folder / "progress", options.folder / "counts.json"
    counts = collections.Counter(json.loads(counts_path.read_text()) if counts_path.exists() else {})
    wanted = max(1, options.mutations // max(1, 6 * options.programs))
    n_kept = len(list(options.folder.glob("*.tflite")))
    with progress.open("w") as file:
        for number in range(options.worker, options.mutations):
            file.seek(0)
            file.write(f"{number:12d}")
            file.flush()
            data, how = mutate(seeds, options.seed, number)
            outcome = examiner.examine(data, random.Random(f"{options.seed}:{number}:run"))
            counts[f"{how}: {outcome}"] += 1
            if outcome.startswith("BUG"):
                print(f"mutation {number} ({how}): {outcome}", flush=True)
            if outcome == "ran" and number % wanted == 0 and n_kept < options.programs:
                (options.folder / f"m{number}.tflite").write_bytes(data)
                n_kept += 1
            if number % 500 == 0:
                counts_path.write_text(json.dumps(counts))
    counts_path.write_text(json.dumps(counts))


def load_seeds(paths: Sequence[str]) -> dict[str, bytes]:
    """Return the models to damage."""
    return {**seed_models(), **{path: Path(path).read_bytes() for path in paths}}


def fuzz(options: argparse.Namespace) -> list[str]:
    """Run all mutations; return what went wrong."""
    bugs: list[str] = []
    folder: Path = options.folder
    env = environment(build_kernels(folder))
    first, start = 0, time.monotonic()
    (folder / "progress").write_text("0")
    while first < options.mutations:
        code, said = run_worker(first, options, folder, env)
        bugs += [line for line in said.splitlines() if line.startswith("mutation ")]
        if code == 0:
            break
        number = int((folder / "progress").read_text() or first)
        kind = "HANG" if code == -1000 else f"CRASH (exit code {code})"
        bugs.append(f"mutation {number}: {kind}\n{said}")
        print(bugs[-1], flush=True)
        first = number + 1
    seconds = time.monotonic() - start
    print(f"{options.mutations:,} mutations in {seconds:.0f} s, {options.mutations / seconds:.0f} a second")
    print_counts(json.loads((folder / "counts.json").read_text()))
    return bugs


def print_counts(counts: dict[str, int]) -> None:
    """Print outcomes by kind of damage."""
    table: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for key, count in counts.items():
        how, outcome = key.split(": ", 1)
        table[how][outcome.split(":")[0]] += count
        table["all"][outcome.split(":")[0]] += count
    outcomes = sorted(table["all"])
    print(f"| damage | {' | '.join(outcomes)} |")
    print("| --- " * (len(outcomes) + 1) + "|")
    for how in sorted(table, key=lambda name: (name == "all", name)):
        print(f"| {how} | {' | '.join(f'{table[how][outcome]:,}' for outcome in outcomes)} |")


def programs(folder: Path) -> Iterator[str]:
    """Build those that ran as C with sanitizers and run them; yield what went wrong."""
    from fuzz_examine import check_programs

    paths = sorted(folder.glob("m*.tflite"))
    start = time.monotonic()
    n_done = 0
    for first in range(0, len(paths), BATCH):
        batch = {path.stem: path.read_bytes() for path in paths[first : first + BATCH]}
        yield from check_programs(batch)
        n_done += len(batch)
    print(f"{n_done:,} of them built and run as C under the sanitizers in {time.monotonic() - start:.0f} s")


def main() -> int:
    """Fuzz, or repeat one mutation, or be the worker."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", metavar="MODEL.tflite")
    parser.add_argument("--mutations", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--programs", type=int, default=1000)
    parser.add_argument("--only", type=int)
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker is not None:
        worker(options)
        return 0
    if options.only is not None:
        from fuzz_examine import Examiner

        data, how = mutate(load_seeds(options.models), options.seed, options.only)
        Path(f"mutation-{options.only}.tflite").write_bytes(data)
        rng = random.Random(f"{options.seed}:{options.only}:run")
        print(f"{how}: {Examiner(raise_bugs=True).examine(data, rng)}")
        return 0
    with tempfile.TemporaryDirectory(prefix="mltk-fuzz-") as scratch:
        options.folder = options.folder or Path(scratch)
        bugs = fuzz(options)
        bugs += programs(options.folder)
    print("\n".join(bugs) if bugs else "No crash, no hang, no exception but MltkError, no other bytes")
    return 1 if bugs else 0


if __name__ == "__main__":
    sys.exit(main())
