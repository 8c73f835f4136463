"""The compiler's C on this machine: clean under strict warnings and sanitizers, and equal to TFLM."""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
from kernels_cases import run_tflm
from kernels_models import convolutions, ds_cnn, everything, sample

from mltk.firmware.compile import compile_model
from mltk.tflite.model import TfliteModel

STRICT = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror", "-O1", "-g"]
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
GRAPHS = {
    "ds_cnn": ds_cnn(),
    **{f"convs_{seed}": convolutions(seed) for seed in range(2)},
    **{f"net_{seed}": everything(seed) for seed in range(3)},
}
SAMPLES = 8


def harness():
    """Return a C program: inputs of every model from stdin, outputs to stdout."""
    lines = ["#include <stdio.h>", "#include <stdlib.h>"]
    lines += [f'#include "{name}.h"' for name in GRAPHS]
    lines += ["int main(void) {"]
    for name in GRAPHS:
        upper = name.upper()
        lines += [
            # On the heap, where ASan sees a byte too many.
            f"  {name}_state *{name} = malloc(sizeof *{name});",
            f"  if ({name} == NULL || {name}_init({name}) != {upper}_OK) return 1;",
            f"  for (int i = 0; i < {SAMPLES}; ++i) {{",
            f"    const size_t in = sizeof *{name}_input({name}), out = sizeof *{name}_output({name});",
            f"    if (fread({name}_input({name}), in, {upper}_INPUT_SIZE, stdin) != {upper}_INPUT_SIZE) return 2;",
            f"    if ({name}_invoke({name}) != {upper}_OK) return 3;",
            f"    fwrite({name}_output({name}), out, {upper}_OUTPUT_SIZE, stdout);",
            "  }",
            f"  free({name});",
        ]
    return "\n".join([*lines, "  return 0;", "}", ""])


def sources(folder):
    for name, data in GRAPHS.items():
        compile_model(TfliteModel(data), name).write(folder)
    (folder / "main.c").write_text(harness())
    return [str(path) for path in [*folder.glob("*.c"), *folder.glob("mltk/*.c")]]


def run(command, folder, sanitizers):
    """Build and run; return the outputs' bytes, None where the sanitizers can not be linked."""
    target = folder / "harness"
    built = subprocess.run(
        [*command, *STRICT, *sanitizers, f"-I{folder}", *sources(folder), "-o", str(target)],
        capture_output=True,
        text=True,
        check=False,
    )
    if built.returncode != 0 and sanitizers and "error:" not in built.stderr.replace("linker", ""):
        return None
    assert built.returncode == 0, built.stderr
    inputs = b"".join(
        sample(TfliteModel(data), seed)[0].tobytes() for data in GRAPHS.values() for seed in range(SAMPLES)
    )
    environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}
    result = subprocess.run([target], input=inputs, capture_output=True, check=False, env=environment)
    assert result.returncode == 0, result.stderr.decode()
    assert result.stderr == b""
    return result.stdout


@pytest.fixture(scope="module")
def expected():
    outputs = []
    for data in GRAPHS.values():
        model = TfliteModel(data)
        outputs += [run_tflm(data, *sample(model, seed))[0] for seed in range(SAMPLES)]
    return b"".join(output.tobytes() for output in outputs)


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler on the path")
def test_c_under_sanitizers(tmp_path, expected):
    outputs = run(["cc"], tmp_path, SANITIZE)
    if outputs is None:
        pytest.skip("cc can not link the sanitizers")
    assert outputs == expected


@pytest.mark.skipif(find_spec("ziglang") is None, reason="needs ziglang")
def test_c_of_clang_under_its_sanitizer(tmp_path, expected):
    """Clang's undefined behaviour ends the program; it has no ASan without its runtime."""
    command = [sys.executable, "-m", "ziglang", "cc", "-fno-strict-aliasing"]
    assert run(command, tmp_path, ["-fsanitize=undefined", "-fsanitize-trap=undefined"]) == expected


def test_the_comparison_can_fail(expected):
    """Different inputs give different outputs: the graphs do not saturate."""
    size = 3 * SAMPLES * 5 * 4  # the last three, of five numbers each
    rows = np.frombuffer(expected[-size:], np.float32).reshape(-1, 5)
    assert len(np.unique(rows[:SAMPLES], axis=0)) > SAMPLES // 2
