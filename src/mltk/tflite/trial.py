"""Try a model that is not vetted in a process of its own, so that a crash of the C++ is an error and not the
end.

`python -m mltk.tflite.trial litert|reference|micro|arena+BYTES` reads a .tflite from standard input, runs it
once and exits with 0.
"""

import hashlib
import math
import os
import subprocess
import sys
from pathlib import Path

from mltk.utils.errors import TfliteError

TIMEOUT_S = 60
_TEMPORARY_BYTES = (0, 64, 256, 512, 1024, 4096)
# What was tried in this process before, as (engine, SHA-256 of the file).
_passed: set[tuple[str, str]] = set()


def try_apart(data: bytes, engine: str, source: str) -> None:
    """Run a model once in another process.

    Args:
        data: the .tflite file's bytes.
        engine: "litert", "reference" (LiteRT's plain kernels) or "micro" (TensorFlow Lite Micro).
        source: what the error's sentence calls the model.

    Raises:
        TfliteError: the other process died, took too long or was refused.

    """
    key = (engine, hashlib.sha256(data).hexdigest())
    if key not in _passed:
        _run_apart(data, engine, source)
        _passed.add(key)


def sufficient_arena(data: bytes, source: str) -> int:
    """Return bytes of tensor arena with which TensorFlow Lite Micro starts and runs a model, tried in other
    processes.

    That is what it says it keeps; small models need a little more for a moment while they start, and with too
    little some kernels crash.

    Raises:
        TfliteError: it did not start with any size, or took too long.

    """
    for extra in _TEMPORARY_BYTES[:-1]:
        try:
            return int(_run_apart(data, f"arena+{extra}", source))
        except TfliteError:
            continue
    return int(_run_apart(data, f"arena+{_TEMPORARY_BYTES[-1]}", source))


def _run_apart(data: bytes, engine: str, source: str) -> str:
    """Return the last line that the other process printed."""
    package_folder = str(Path(__file__).resolve().parents[2])
    search_path = os.pathsep.join([package_folder, *filter(None, [os.environ.get("PYTHONPATH")])])
    try:
        process = subprocess.run(
            [sys.executable, "-m", "mltk.tflite.trial", engine],
            input=data,
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
            env={**os.environ, "PYTHONPATH": search_path},
        )
    except subprocess.TimeoutExpired as error:
        raise TfliteError(f"{source} did not finish one inference in {TIMEOUT_S} s: it is not run") from error
    lines = process.stdout.decode("utf-8", "replace").strip().splitlines()
    if process.returncode == 0 and lines:
        return lines[-1]
    if process.returncode == 1 and lines:
        raise TfliteError(f"{source} can not be run: {lines[-1]}")
    raise TfliteError(f"{source} crashes the interpreter ({engine}), so it is not run: get it again")


def main(engine: str, data: bytes) -> int:
    """Run a model once on zeros; print "ran", or the arena's size, and return the exit code."""
    try:
        print(_run_once(data, engine))
    except TfliteError as error:
        print(error)
        return 1
    return 0


def _run_once(data: bytes, engine: str) -> str:
    import numpy as np

    from mltk.tflite.interpreter import LiteInterpreter
    from mltk.tflite.micro import MicroInterpreter
    from mltk.tflite.model import TfliteModel

    zeros = [np.zeros(tensor.shape, tensor.dtype) for tensor in TfliteModel(data).inputs]
    if engine.startswith("arena+"):
        kept = MicroInterpreter(data).arena_bytes_used()
        size = 16 * math.ceil(kept / 16) + int(engine.removeprefix("arena+"))
        MicroInterpreter(data, size).run(*zeros)
        return str(size)
    if engine == "micro":
        MicroInterpreter(data).run(*zeros)
    else:
        LiteInterpreter(data, reference_kernels=engine == "reference").run(*zeros)
    return "ran"


if __name__ == "__main__":
    # A crash in the clean-up would crash the caller too: it counts, so the process ends the ordinary way.
    sys.exit(main(sys.argv[1], sys.stdin.buffer.read()))
