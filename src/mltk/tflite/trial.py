"""Try a model that is not vetted in a process of its own, so that a crash of the C++ is an error and not the
end.

`python -m mltk.tflite.trial litert|reference|micro` reads a .tflite from standard input, runs it once and
exits with 0.
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from mltk.utils.errors import TfliteError

TIMEOUT_S = 60
ENGINES = ("litert", "reference", "micro")
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
    if key in _passed:
        return
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
    if process.returncode == 0:
        _passed.add(key)
        return
    lines = process.stdout.decode("utf-8", "replace").strip().splitlines()
    if process.returncode == 1 and lines:
        raise TfliteError(f"{source} can not be run: {lines[-1]}")
    raise TfliteError(f"{source} crashes the interpreter ({engine}), so it is not run: get it again")


def main(engine: str, data: bytes) -> int:
    """Run a model once on zeros; return the exit code."""
    import numpy as np

    from mltk.tflite.model import TfliteModel

    try:
        model = TfliteModel(data)
        zeros = [np.zeros(tensor.shape, tensor.dtype) for tensor in model.inputs]
        if engine == "micro":
            from mltk.tflite.micro import MicroInterpreter

            MicroInterpreter(data).run(*zeros)
        else:
            from mltk.tflite.interpreter import LiteInterpreter

            LiteInterpreter(data, reference_kernels=engine == "reference").run(*zeros)
    except TfliteError as error:
        print(error)
        return 1
    return 0


if __name__ == "__main__":
    # A crash in the clean-up would crash the caller too: it counts, so the process ends the ordinary way.
    sys.exit(main(sys.argv[1], sys.stdin.buffer.read()))
