"""TensorBoard on the logs of a model's training: its own program, on loopback, for as long as we run."""

import contextlib
import importlib.util
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from mltk.models.search import FoundModel, find_model
from mltk.utils.errors import DeviceError, MissingExtraError, MltkError, ModelError
from mltk.utils.path import user_dir

HOST = "127.0.0.1"
LOOPBACK = (HOST, "localhost", "::1")
LOG_FOLDER = "train/tensorboard"
_EVENTS = "events.out.tfevents.*"
# It imports TensorFlow where that is installed, which takes seconds on a cold disk.
START_TIMEOUT_S = 120.0
_STOP_TIMEOUT_S = 5.0
_ADDRESS = re.compile(r"TensorBoard \S+ at (http://\S+)")


def find_logs(model: str, test: bool = False) -> Path:
    """Return the folder with what the trainings of a model logged for TensorBoard.

    Args:
        model: a model's name, specification or archive; nothing of it is executed. The name of a trained model is
            enough, its files may be elsewhere. A folder of logs, such as one that a specification's
            `tensorboard["log_dir"]` names, is taken as it is.
        test: the dry run is meant.

    Raises:
        ModelError: there is no such model, or no training of it logged anything yet.

    """
    if Path(model).is_dir():
        folder, name = Path(model), model
    else:
        name = _name(model, test)
        folder = user_dir() / "models" / name / LOG_FOLDER
    if not folder.is_dir() or next(folder.rglob(_EVENTS), None) is None:
        raise ModelError(f"There are no logs of a training in {folder} yet: train first, mltk train {name}")
    return folder


def _name(model: str, test: bool) -> str:
    """Return a model's name as its log folder has it, with '-test' for the dry run."""
    logged = model if model.endswith("-test") or not test else f"{model}-test"
    if Path(model).name == model and (user_dir() / "models" / logged / LOG_FOLDER).is_dir():
        return logged
    found: FoundModel = find_model(model, test)
    return f"{found.name}-test" if found.test else found.name


@dataclass
class TensorBoard:
    """A running TensorBoard.

    Attributes:
        url: its address on this machine.

    """

    url: str
    _process: "subprocess.Popen[str]"
    _output: list[str] = field(default_factory=list)

    def wait(self) -> None:
        """Wait until it ends by itself.

        Raises:
            DeviceError: it did.

        """
        # In pieces, which lets Ctrl-C through on Windows.
        while self._process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(0.5)
        raise _ended_error(self._output)

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        try:
            self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stderr is not None:
            self._process.stderr.close()


@contextlib.contextmanager
def running_tensorboard(folder: Path, port: int = 0, host: str = HOST) -> Iterator[TensorBoard]:
    """Run TensorBoard on a folder of logs for the length of a block.

    Args:
        folder: what it shows.
        port: 0 takes a free one.
        host: a name of this machine's loopback: TensorBoard lets everyone in who reaches it.

    Raises:
        MissingExtraError: the package tensorboard is not installed.
        MltkError: the host is not loopback.
        DeviceError: it does not start, such as for a port that is taken.

    """
    if host not in LOOPBACK:
        raise MltkError(
            f"--host is {host}: TensorBoard asks nobody for a password, so only {', '.join(LOOPBACK)} are served; from "
            f"another machine, come by ssh -L PORT:{HOST}:PORT"
        )
    if importlib.util.find_spec("tensorboard") is None:
        raise MissingExtraError("view", "mltk tensorboard")
    command = [
        sys.executable,
        "-m",
        "tensorboard.main",
        "--logdir",
        str(folder),
        "--host",
        host,
        "--port",
        str(port),
    ]
    # Its fast reader is another process, which would outlive a killed parent.
    command.append("--load_fast=false")
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "ignore"},
    )
    board = TensorBoard("", process)
    try:
        board.url = _wait_for_address(process, board._output)
        yield board
    finally:
        board.close()


def _wait_for_address(process: "subprocess.Popen[str]", output: list[str]) -> str:
    found = threading.Event()
    threading.Thread(target=_read, args=(process.stderr, output, found), daemon=True).start()
    found.wait(START_TIMEOUT_S)
    for line in output:
        address = _ADDRESS.search(line)
        if address:
            return address.group(1)
    raise _ended_error(output)


def _read(stream: IO[str], output: list[str], found: threading.Event) -> None:
    """Keep what TensorBoard says, so that it never waits for us; `found` is set with its address or its end."""
    with contextlib.suppress(ValueError, OSError):  # closed under us at the end
        for line in stream:
            del output[:-50]
            output.append(line.strip())
            if _ADDRESS.search(line):
                found.set()
    found.set()


def _ended_error(output: list[str]) -> DeviceError:
    said = next((line for line in reversed(output) if line), "without a word")
    return DeviceError(f"TensorBoard ended: {said}")
