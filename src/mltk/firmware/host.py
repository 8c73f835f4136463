"""The generated C on this machine: the same files as on the chip, built with the compiler that is here."""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mltk.firmware.compile import CompiledModel
from mltk.firmware.toolchain import WARNINGS, compile_and_link
from mltk.tflite.layers import TfliteLayer, TfliteTensor
from mltk.tflite.model import TfliteModel
from mltk.tflite.plan.steps import Plan
from mltk.utils.errors import DeviceError, MissingExtraError
from mltk.utils.files import write_bytes
from mltk.utils.text import printable

Array = npt.NDArray[Any]

# -O2 and no contraction: a float sum must not depend on the machine's instructions.
_FLAGS = ("-std=c99", "-O2", "-ffp-contract=off", "-fno-strict-aliasing", *WARNINGS)
_SANITIZE = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
_TIMEOUT_S = 600


@dataclass(frozen=True)
class Snapshot:
    """A moment of an inference at which a layer's outputs can be read.

    Attributes:
        layer: the layer.
        after: how many of the plan's steps have run.
        tensors: the layer's outputs that have a place in the arena.

    """

    layer: TfliteLayer
    after: int
    tensors: tuple[TfliteTensor, ...]


def snapshots(model: TfliteModel, plan: Plan) -> list[Snapshot]:
    """Return when each layer's outputs are complete: after its last step, before the next one writes over them."""
    found, done = [], 0
    for layer in model.layers:
        while done < len(plan.steps) and plan.steps[done].layer <= layer.index:
            done += 1
        tensors = tuple(tensor for tensor in layer.outputs if tensor.index in plan.offsets)
        found.append(Snapshot(layer, done, tensors))
    return found


def host_compiler() -> list[str]:
    """Return the command of a C compiler for this machine: cc, gcc or clang of the path, else that of ziglang.

    Raises:
        MissingExtraError: there is none.

    """
    for name in ("cc", "gcc", "clang"):
        found = shutil.which(name)
        if found is not None:
            return [found]
    if find_spec("ziglang") is None:
        raise MissingExtraError("device", "Compiling C for this machine without a compiler")
    return [sys.executable, "-m", "ziglang", "cc"]


class HostProgram:
    """C files as a program that takes bytes and gives bytes; a process of its own for each run.

    Args:
        files: path -> text; every .c is compiled.
        what: the program's name in errors.
        sanitize: build with AddressSanitizer and UndefinedBehaviorSanitizer, so that any wrong access ends it.
        compiler: the command of a C compiler; `host_compiler()` without one.

    Raises:
        DeviceError: the compiler refuses.
        MissingExtraError: there is no compiler.

    """

    def __init__(
        self,
        files: Mapping[str, str],
        what: str,
        sanitize: bool = False,
        compiler: Sequence[str] | None = None,
    ) -> None:
        self._what = what
        flags = [*_FLAGS, *(_SANITIZE if sanitize else ())]
        with tempfile.TemporaryDirectory(prefix="mltk-host-") as folder:
            name = "program.exe" if sys.platform == "win32" else "program"
            command = [*(compiler or host_compiler()), *flags]
            self._program = compile_and_link(command, files, Path(folder), name, what)

    def run(self, data: bytes, *arguments: str) -> bytes:
        """Run it with bytes on its standard input; return its standard output.

        Raises:
            DeviceError: it fails, crashes or does not end.

        """
        with tempfile.TemporaryDirectory(prefix="mltk-host-") as folder:
            path = write_bytes(Path(folder) / "program.exe", self._program)
            path.chmod(0o700)
            try:
                done = subprocess.run(
                    [str(path), *arguments], input=data, capture_output=True, check=False, timeout=_TIMEOUT_S
                )
            except (OSError, subprocess.TimeoutExpired) as error:
                raise DeviceError(f"{self._what} can not be run on this machine: {error}") from error
        if done.returncode != 0:
            lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
            told = (
                [line for line in lines if "ERROR" in line or "runtime error" in line]
                or lines
                or ["it crashed"]
            )
            raise DeviceError(f"{self._what} failed on this machine (exit code {done.returncode}): {told[0]}")
        return done.stdout


class HostModel:
    """A compiled model on this machine.

    Args:
        model: the model.
        compiled: the same as C.
        sanitize: see `HostProgram`.
        compiler: see `HostProgram`.

    Raises:
        DeviceError: it can not be built.
        MissingExtraError: there is no compiler.

    """

    def __init__(
        self,
        model: TfliteModel,
        compiled: CompiledModel,
        sanitize: bool = False,
        compiler: Sequence[str] | None = None,
    ) -> None:
        self._snapshots = snapshots(model, compiled.plan)
        self._plan = compiled.plan
        files = harness_files(compiled, self._snapshots)
        files["main.c"] = _MAIN.replace("NAME", compiled.name)
        what = f"The C code of {printable(model.source)}"
        self._program = HostProgram(files, what, sanitize, compiler)

    def outputs(self, samples: Iterable[Sequence[Array]]) -> list[list[Array]]:
        """Run inferences.

        Args:
            samples: for each the graph's inputs in their own types and shapes.

        Returns:
            For each the graph's outputs.

        Raises:
            DeviceError: the program fails.

        """
        return self._run(samples, [list(self._plan.outputs)], "outputs")

    def layers(self, samples: Iterable[Sequence[Array]]) -> list[list[Array]]:
        """Run inferences and return every layer's outputs, in the order of `snapshots`.

        Raises:
            DeviceError: the program fails.

        """
        return self._run(samples, [list(snapshot.tensors) for snapshot in self._snapshots], "layers")

    def _run(
        self, samples: Iterable[Sequence[Array]], groups: list[list[TfliteTensor]], mode: str
    ) -> list[list[Array]]:
        given = b"".join(
            np.ascontiguousarray(value, tensor.dtype).tobytes()
            for sample in samples
            for tensor, value in zip(self._plan.inputs, sample, strict=True)
        )
        data = self._program.run(given, mode)
        tensors = [tensor for group in groups for tensor in group]
        results: list[list[Array]] = []
        position = 0
        while position < len(data):
            values = []
            for tensor in tensors:
                size = tensor.size * tensor.dtype.itemsize
                values.append(
                    np.frombuffer(data[position : position + size], tensor.dtype).reshape(tensor.shape)
                )
                position += size
            results.append(values)
        return results


def harness_files(compiled: CompiledModel, moments: Sequence[Snapshot]) -> dict[str, str]:
    """Return a compiled model's files with a function `int run_NAME(int every_layer)`.

    It reads the inputs of one inference after the other from standard input and writes the outputs, or every
    layer's outputs. The calls of the kernels are wrapped by macros around the generated file, which stays as it is.
    """
    source, included = f"{compiled.name}.c", f"{compiled.name}.inc"
    files = {included if path == source else path: text for path, text in compiled.files.items()}
    return {**files, f"run_{compiled.name}.c": _harness(compiled, moments)}


def _harness(compiled: CompiledModel, moments: Sequence[Snapshot]) -> str:
    name, plan = compiled.name, compiled.plan
    ranges = [
        f"{{{moment.after}, {plan.offsets[tensor.index]}, {plan.sizes[tensor.index]}}},"
        for moment in moments
        for tensor in moment.tensors
    ]
    kernels = sorted({step.kernel for step in plan.steps})
    ends = {}
    for kind, tensors in (("input", plan.inputs), ("output", plan.outputs)):
        suffixes = [kind] if len(tensors) == 1 else [f"{kind}_{place}" for place in range(len(tensors))]
        ends[kind] = list(zip(suffixes, (plan.sizes[tensor.index] for tensor in tensors), strict=True))
    wrapped = [f"#define {kernel}(...) ({kernel}(__VA_ARGS__), NAME_step())" for kernel in kernels]
    reads = [
        f"    if (fread(NAME_{end}(state), 1, {size}, stdin) != {size}) return 0;"
        for end, size in ends["input"]
    ]
    writes = [
        f"    if (!every_layer) fwrite(NAME_{end}(state), 1, {size}, stdout);" for end, size in ends["output"]
    ]
    text = _HARNESS
    for mark, lines in (
        ("RANGES", ranges or ["{0, 0, 0},"]),
        ("KERNELS", wrapped),
        ("READS", reads),
        ("WRITES", writes),
    ):
        text = text.replace(f"@{mark}@", "\n".join(lines))
    names = {"UPPER_": f"{name.upper()}_", "NAME": name}
    # In one go: a model may be called RENAME.
    return re.sub("UPPER_|NAME", lambda found: names[found[0]], text)


# `range`s say which bytes of the arena are to be written after which step.
_HARNESS = """
#include "mltk/mltk_nn.h"
#include <stdio.h>
static void NAME_step(void);
@KERNELS@
#include "NAME.inc"
typedef struct {
  unsigned after;
  unsigned long offset, size;
} range;
static NAME_state NAME_memory;
static unsigned NAME_done;
static int NAME_every;
static const range NAME_ranges[] = {
@RANGES@
};
static void NAME_emit(void) {
  const range *next = NAME_ranges;
  const range *end = next + sizeof(NAME_ranges) / sizeof(NAME_ranges[0]);
  for (; NAME_every && next != end; ++next) {
    if (next->after == NAME_done) {
      fwrite((const char *)NAME_memory.arena + next->offset, 1, next->size, stdout);
    }
  }
}
static void NAME_step(void) {
  ++NAME_done;
  NAME_emit();
}
int run_NAME(int every_layer);
int run_NAME(int every_layer) {
  NAME_state *state = &NAME_memory;
  NAME_every = every_layer;
  if (NAME_init(state) != UPPER_OK) return 1;
  for (;;) {
@READS@
    NAME_done = 0;
    NAME_emit();
    if (NAME_invoke(state) != UPPER_OK) return 1;
@WRITES@
  }
}
"""

_MAIN = """
#ifdef _WIN32
#include <fcntl.h>
#include <io.h>
#endif
int run_NAME(int every_layer);
int main(int n_arguments, char **arguments) {
#ifdef _WIN32
  (void)_setmode(0, _O_BINARY);
  (void)_setmode(1, _O_BINARY);
#endif
  return run_NAME(n_arguments > 1 && arguments[1][0] == 'l');
}
"""
