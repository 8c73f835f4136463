"""What is done with a damaged .tflite, and what counts as a bug."""

import ctypes
import importlib.util
import random
import signal
import sys
import traceback
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mltk.native
from mltk.utils.errors import DeviceError, MltkError

SLOW_S = 30
# Larger graphs are planned and written as C, but not run: a minute of sums is no crash.
MOST_RUN_BYTES, MOST_RUN_MACS = 2**24, 2**26
_FENCE = 64


def use_kernels(path: str) -> None:
    """Let mltk run on another build of its extension `_kernels`; before anything of mltk.tflite is imported."""
    spec = importlib.util.spec_from_file_location("_kernels", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules["mltk.native._kernels"] = module
    mltk.native._kernels = module  # type: ignore[attr-defined]


class SlowError(Exception):
    """One mutation took too long."""


class Examiner:
    """Reads, plans, compiles and runs.

    Args:
        raise_bugs: let exceptions out instead of naming them.

    """

    def __init__(self, raise_bugs: bool = False) -> None:
        self._raise = raise_bugs
        process = ctypes.CDLL(None)
        self._poison = getattr(process, "__asan_poison_memory_region", None)
        self._unpoison = getattr(process, "__asan_unpoison_memory_region", None)

    def examine(self, data: bytes, rng: random.Random) -> str:
        """Return what came of a file: one of a few words, or "BUG: ..."."""
        has_alarm = hasattr(signal, "setitimer")
        if has_alarm:  # of the processor's time: a busy machine is no hang
            signal.signal(signal.SIGVTALRM, _too_slow)
            signal.setitimer(signal.ITIMER_VIRTUAL, SLOW_S)
        try:
            return self._examine(data, rng)
        except Exception as error:
            if self._raise:
                raise
            where = traceback.extract_tb(error.__traceback__)[-1]
            return f"BUG: {type(error).__name__} {where.filename}:{where.lineno} {error}".replace("\n", " ")[
                :400
            ]
        finally:
            if has_alarm:
                signal.setitimer(signal.ITIMER_VIRTUAL, 0)

    def _examine(self, data: bytes, rng: random.Random) -> str:
        from mltk.firmware.compile import compile_model
        from mltk.tflite.model import TfliteModel
        from mltk.tflite.plan.engine import NativeModel, scratch_bytes
        from mltk.tflite.plan.plan import make_plan

        class FencedModel(TfliteModel):
            """Constants in memory of malloc's, which the sanitizer fences; bytes objects lie in Python's pools."""

            def constant(self, tensor: Any) -> NDArray[Any] | None:
                values = super().constant(tensor)
                return None if values is None else values.copy()

        try:
            model = FencedModel(data)
            is_large = sum(tensor.size for tensor in model.tensors) > MOST_RUN_BYTES
        except MltkError:
            return "refused by the reader"
        try:
            if is_large or max(model.macs, model.ops) > MOST_RUN_MACS:
                make_plan(model, scratch_bytes)
                return "planned, too large to run here"
            native = NativeModel(model)
        except MltkError:
            return "refused by the compiler"
        inputs = random_inputs(model, rng)
        first = native.run(*inputs)
        second = native.run(*inputs)
        if not same(first, second):
            return "BUG: other outputs at the second run"
        if rng.random() < 0.5 and not same(first, self._run_fenced(model, inputs)):
            return "BUG: other outputs with tensors apart from each other"
        if rng.random() < 0.25:
            compile_model(model, "m")
        return "ran"

    def _run_fenced(self, model: Any, inputs: list[NDArray[Any]]) -> list[NDArray[Any]]:
        """Run with every tensor in bytes of its own, poisoned ones around it."""
        from mltk.tflite.plan import plan as planning
        from mltk.tflite.plan.engine import NativeModel

        spans: list[tuple[int, int]] = []

        def place_apart(blocks: Mapping[int, Any]) -> tuple[dict[int, int], int]:
            offsets, position = {}, _FENCE
            for key, block in blocks.items():
                offsets[key] = position
                spans.append((position, block.size))
                position += -(-block.size // 8) * 8 + _FENCE
            return offsets, position

        usual = planning.place
        planning.place = place_apart  # type: ignore[assignment]
        try:
            native = NativeModel(model)
        finally:
            planning.place = usual
        arena = native._arena
        base = arena.ctypes.data
        if self._poison is not None:
            gaps, position = [], 0
            for start, size in spans:
                gaps.append((position, start - position))
                position = start + size
            for start, size in [*gaps, (position, len(arena) - 8 - position)]:
                self._poison(ctypes.c_void_p(base + start), ctypes.c_size_t(size))
        try:
            return native.run(*inputs)
        finally:
            if self._unpoison is not None:
                self._unpoison(ctypes.c_void_p(base), ctypes.c_size_t(len(arena)))


def _too_slow(*_: Any) -> None:
    raise SlowError(f"more than {SLOW_S} s")


def same(a: list[NDArray[Any]], b: list[NDArray[Any]]) -> bool:
    """Compare bytes."""
    return [x.tobytes() for x in a] == [x.tobytes() for x in b]


def random_inputs(model: Any, rng: random.Random) -> list[NDArray[Any]]:
    """Return values of any size, also infinite ones and such that are no numbers, for each input."""
    generator = np.random.default_rng(rng.randrange(2**32))
    inputs = []
    for tensor in model.inputs:
        values = np.frombuffer(generator.bytes(tensor.size * tensor.dtype.itemsize), tensor.dtype)
        if tensor.dtype.kind == "f" and rng.random() < 0.5:
            values = generator.normal(0, 3, tensor.size).astype(tensor.dtype)
        inputs.append(values.reshape(tensor.shape))
    return inputs


def check_programs(models: Mapping[str, bytes]) -> Iterator[str]:
    """Build models as one C program with sanitizers; yield those that fail or give other bytes than the engine."""
    try:
        yield from _check_together(models)
    except DeviceError as error:
        if len(models) == 1:
            yield f"C of {next(iter(models))}: {error}"
            return
        for name, data in models.items():
            yield from check_programs({name: data})


def _check_together(models: Mapping[str, bytes]) -> Iterator[str]:
    from mltk.firmware.compile import compile_model
    from mltk.firmware.host import HostProgram, harness_files, snapshots
    from mltk.tflite.model import TfliteModel
    from mltk.tflite.plan.engine import NativeModel

    files: dict[str, str] = {}
    loaded = {name: TfliteModel(data) for name, data in models.items()}
    for name, model in loaded.items():
        compiled = compile_model(model, name)
        files |= harness_files(compiled, snapshots(model, compiled.plan))
    prototypes = "".join(f"int run_{name}(int every_layer);\n" for name in models)
    cases = "".join(f'  if (strcmp(arguments[1], "{name}") == 0) return run_{name}(0);\n' for name in models)
    files["main.c"] = (
        f"#include <string.h>\n{prototypes}int main(int n, char **arguments) {{\n  if (n < 2) return 1;\n{cases}  return 1;\n}}\n"
    )
    program = HostProgram(files, "The C code", sanitize=True, compiler=["gcc"])
    for name, model in loaded.items():
        inputs = random_inputs(model, random.Random(name))
        given = b"".join(np.ascontiguousarray(value).tobytes() for value in inputs)
        expected = b"".join(value.tobytes() for value in NativeModel(model).run(*inputs))
        if program.run(given + given, name) != 2 * expected:
            yield f"C of {name}: other bytes than the engine's"
