"""`mltk tensorboard`: what our trainer wrote is what TensorBoard serves; and it ends with us."""

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from mltk.utils.errors import MissingExtraError, MltkError, ModelError
from mltk.viewer.tensorboard import find_logs, running_tensorboard

RUN = "import sys; from mltk.cli.main import main; sys.argv = ['mltk', *{!r}]; main()"
ACCURACIES = [0.25, 0.5, 0.75]


@pytest.fixture
def user(tmp_path, monkeypatch):
    monkeypatch.setenv("MLTK_CACHE_DIR", str(tmp_path / "user"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "user"


@pytest.fixture
def logs(user):
    """Write scalars as a training does."""
    pytest.importorskip("tensorflow", reason="the extra 'train' is not installed")
    pytest.importorskip("tensorboard", reason="the extra 'view' is not installed")
    from mltk.training.history import TensorBoardScalars

    folder = user / "models/tones/train/tensorboard"
    writer = TensorBoardScalars(folder)
    for epoch, accuracy in enumerate(ACCURACIES):
        writer.on_epoch_end(epoch, {"accuracy": accuracy / 2, "val_accuracy": accuracy})
    writer.on_train_end()
    return folder


def start(*arguments):
    flags = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP} if sys.platform == "win32" else {}
    return subprocess.Popen(
        [sys.executable, "-c", RUN.format(list(arguments))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **flags,
    )


def get(address, path):
    with urllib.request.urlopen(urllib.parse.urljoin(address, path), timeout=60) as answer:
        return json.load(answer)


def tags_of(address, run):
    """Return a run's tags; TensorBoard answers before it has read the logs."""
    give_up = time.monotonic() + 60
    while run not in (tags := get(address, "data/plugin/scalars/tags")) and time.monotonic() < give_up:
        time.sleep(0.2)
    return tags[run]


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C can not be sent to another process there")
def test_scalars_are_served_until_ctrl_c(logs):
    process = start("tensorboard", "tones", "--no-browser")
    try:
        told = process.stdout.readline() + process.stdout.readline()
        assert "Ctrl-C ends it" in told
        found = re.search(r"http://127\.0\.0\.1:(\d+)/", told)
        assert found, process.stderr.read()
        assert "epoch_accuracy" in tags_of(found.group(), "validation")
        points = get(found.group(), "data/plugin/scalars/scalars?run=validation&tag=epoch_accuracy")
        assert [(step, value) for _, step, value in points] == list(enumerate(ACCURACIES))
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=90)
        assert process.returncode == 0
        assert errors == ""
        with pytest.raises(OSError, match="refused"):
            http.client.HTTPConnection("127.0.0.1", int(found.group(1)), timeout=5).connect()
    finally:
        process.kill()
        process.communicate()


def test_taken_port_is_told(logs):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(MltkError, match=f"TensorBoard ended.*{port}"), running_tensorboard(logs, port):
            pass


def test_our_process_loads_no_tensorflow(logs):
    code = "import sys; from mltk.viewer.tensorboard import find_logs; find_logs('tones'); "
    code += "print([name for name in ('tensorflow', 'tensorboard', 'keras') if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def events(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "events.out.tfevents.1").write_bytes(b"")
    return folder


def test_logs_are_found_by_name_path_and_folder(user):
    folder = events(user / "models/mine/train/tensorboard")
    dry_run = events(user / "models/mine-test/train/tensorboard")
    Path("mine.py").write_text("raise SystemExit('executed')", encoding="utf-8")
    assert find_logs("mine") == find_logs("mine.py") == folder
    assert (
        find_logs("mine-test") == find_logs("mine", test=True) == find_logs("mine.py", test=True) == dry_run
    )
    assert find_logs(str(folder)) == folder


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("nobody", "There is no model 'nobody'"),
        ("untrained.py", "no logs of a training.*mltk train untrained"),
    ],
)
def test_nothing_to_show(user, model, told):
    Path("untrained.py").write_text("", encoding="utf-8")
    with pytest.raises(ModelError, match=told):
        find_logs(model)


def test_only_this_machine_is_served(tmp_path):
    with (
        pytest.raises(MltkError, match=r"--host is 0\.0\.0\.0"),
        running_tensorboard(tmp_path, host="0.0.0.0"),
    ):
        pass


def test_missing_package_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"mltk-audio\[view\]"), running_tensorboard(tmp_path):
        pass
