"""The recognizer's C, compiled with warnings as errors and under ASan and UBSan."""

import random
import shutil
import subprocess
from pathlib import Path

import pytest

import mltk.native

SOURCES = Path(mltk.native.__file__).parent / "detector"
HARNESS = Path(__file__).with_name("detector_harness.c")
COMPILER = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")


def compile_c(arguments):
    if COMPILER is None:
        pytest.skip("no C compiler (cc, gcc, clang) on the path")
    return subprocess.run(
        [COMPILER, *map(str, arguments)], check=False, capture_output=True, text=True, timeout=120
    )


@pytest.fixture(scope="module")
def harness(tmp_path_factory):
    program = tmp_path_factory.mktemp("asan") / "harness"
    flags = ["-std=c99", "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    done = compile_c([*flags, "-I", SOURCES, SOURCES / "detector.c", HARNESS, "-o", program])
    if done.returncode != 0:
        pytest.skip(f"the compiler can not build with sanitizers: {done.stderr[-300:]}")
    return program


@pytest.mark.parametrize("standard", ["c99", "c11"])
def test_compiles_without_a_warning(tmp_path, standard):
    warnings = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wsign-conversion", "-Wshadow", "-Werror"]
    done = compile_c(
        [f"-std={standard}", *warnings, "-c", SOURCES / "detector.c", "-o", tmp_path / "detector.o"]
    )
    assert done.returncode == 0, done.stderr


def test_needs_nothing_but_itself(tmp_path):
    """No heap, no stdio, no floating point: the object file asks for no symbol of the C library."""
    nm = shutil.which("nm")
    if nm is None:
        pytest.skip("no nm on the path")
    target = tmp_path / "detector.o"
    assert compile_c(["-std=c99", "-Os", "-c", SOURCES / "detector.c", "-o", target]).returncode == 0
    wanted = subprocess.run(
        [nm, "-u", str(target)], capture_output=True, text=True, check=True
    ).stdout.split()
    allowed = {"U", "memcpy", "memset", "__stack_chk_fail", "_GLOBAL_OFFSET_TABLE_"}
    assert {name.lstrip("_") for name in wanted} <= {name.lstrip("_") for name in allowed}
    text = (SOURCES / "detector.c").read_text() + (SOURCES / "detector.h").read_text()
    assert not any(word in text.split() for word in ("float", "double", "malloc", "printf"))


def run(program, config, rows):
    lines = [" ".join(map(str, config)), *(" ".join(map(str, row)) for row in rows)]
    done = subprocess.run(
        [program], check=False, input="\n".join(lines), capture_output=True, text=True, timeout=60
    )
    assert not done.stderr, done.stderr
    return done.returncode, [tuple(map(int, line.split())) for line in done.stdout.splitlines()]


def expected(config, labels, thresholds, rows):
    """Rules 1 to 4 once more, with the C statuses."""
    n, count, window, suppression, mode, slots, _ = config
    kept, previous, last, out = [], None, -1, []
    for time, *scores in rows:
        if time <= last:
            out.append((2, 0, 0, 0, 0))
            continue
        kept = [] if count == 0 else [r for r in kept if r[0] >= time - window]
        if len(kept) == slots:
            out.append((3, 0, 0, 0, 0))
            continue
        kept.append((time, scores))
        last = time
        if len(kept) < count:
            out.append((0, 0, 0, 0, 0))
            continue
        averages = [sum(r[1][c] for r in kept) // len(kept) for c in range(n)]
        top = averages.index(max(averages))
        heard = averages[top] > thresholds[top] and (mode or not labels[top].startswith("_"))
        heard = heard and (previous is None or previous[0] != top or time - previous[1] > suppression)
        previous = (top, time) if heard else previous
        out.append((0, 1, int(heard), top, averages[top]))
    return out


@pytest.mark.parametrize("seed", range(25))
def test_random_vectors_under_the_sanitizers(harness, seed):
    rng = random.Random(seed)
    n = rng.randint(1, 5)
    count = rng.randint(0, 4)
    config = (
        n,
        count,
        rng.choice([0, 300, 1000, 2**32 - 1]),
        rng.choice([0, 500, 2**32 - 1]),
        rng.randint(0, 1),
    )
    config = (*config, rng.randint(max(count, 1), 8), 200)
    labels = [rng.choice(["yes", "no", "_unknown_", "_", "silence"]) for _ in range(n)]
    thresholds = [rng.randint(0, 200) for _ in range(n)]
    rows, time = [], rng.choice([0, 2**32 - 500, 2**62])
    for _ in range(200):
        rows.append((time, *(rng.randint(0, 255) for _ in range(n))))
        time += rng.choice([-50, 0, 1, 100, 100, 100, 400])
    status, got = run(harness, config, [*zip(labels, thresholds, strict=True), *rows])
    assert status == 0
    assert got == expected(config, labels, thresholds, rows)


def test_too_few_slots_and_no_classes_are_statuses(harness):
    assert run(harness, (1, 3, 1000, 0, 0, 2, 0), [("a", 1)])[0] == 1
    assert run(harness, (0, 1, 1000, 0, 0, 2, 0), [])[0] == 1
