"""A training over SSH with a cut brings home the archive that the same training makes here."""

import io
import json
import re
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from remote_server import Line

pytest.importorskip("asyncssh", reason="the extra 'ssh' is not installed")
pytest.importorskip("tensorflow", reason="the extra 'train' is not installed")

TRAINING = Path(__file__).parents[1] / "training"
MAIN = "from mltk.remote import session; session.DELAYS = (0.1, 0.2); from mltk.cli.main import main; main()"
ARGUMENTS = ("train", "tones", "--dataset", "data", "--seed", "5", "--epochs", "6")


def write_model(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(TRAINING))
    from training_models import write_data_set, write_specification

    write_data_set(folder / "data")
    write_specification(folder, Path("data"))


def mltk(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", MAIN, *arguments],
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


DATE = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
TIME = re.compile(rb"(\d+ (h|min) )?[\d.]+ (s|min|h)\b( left)?")


def contents(archive: Path) -> dict[str, Any]:
    """Return an archive's members without what differs between two trainings here, too: the date in the .tflite, seconds and
    folders in the log, the run's random name, Keras' object ids.
    """
    with zipfile.ZipFile(archive) as source:
        members: dict[str, Any] = {name: source.read(name) for name in source.namelist()}
    for name, content in members.items():
        if name.endswith((".tflite", ".tflite.summary.txt")):
            members[name] = DATE.sub(b"DATE", content)
    lines = TIME.sub(b"TIME", members["train/log.txt"]).splitlines()
    members["train/log.txt"] = [line for line in lines if not line.startswith(b"Wrote ")]
    history = json.loads(members["train/training-history.json"])
    assert history["params"].pop("run")
    members["train/training-history.json"] = history
    members["tones.keras"] = keras_members(members["tones.keras"])
    return members


def keras_members(data: bytes) -> dict[str, Any]:
    import h5py

    with zipfile.ZipFile(io.BytesIO(data)) as source:
        weights: dict[str, Any] = {}
        with h5py.File(io.BytesIO(source.read("model.weights.h5"))) as file:
            file.visititems(
                lambda name, item: (
                    weights.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
                )
            )
        config = re.sub(rb'"shared_object_id": \d+', b'"shared_object_id": 0', source.read("config.json"))
        return {"config": config, "weights": weights}


@pytest.mark.slow
def test_same_archive_as_here(
    line: Line, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    write_model(here, monkeypatch)
    write_model(home, monkeypatch)
    with (home / ".mltk" / "user_settings.yaml").open("a") as file:
        file.write(f"  upload_files: [data]\n  environment: {{MLTK_CACHE_DIR: {tmp_path}/there}}\n")

    def log() -> str:
        logs = list((home / ".mltk/models/tones/ssh").glob("*.log"))
        return logs[0].read_text() if logs else ""

    def cut() -> None:
        limit = time.monotonic() + 100
        while not re.search(r"poch +2", log()) and time.monotonic() < limit:
            time.sleep(0.02)
        line.close()
        time.sleep(1.0)
        line.open()

    thread = threading.Thread(target=cut)
    thread.start()
    remote = mltk(home, "ssh", *ARGUMENTS)
    out, err = remote.communicate(timeout=280)
    thread.join()
    assert remote.returncode == 0, err + out
    assert "trying again" in err
    assert "Connected again" in err
    local = mltk(here, *ARGUMENTS)
    _, local_err = local.communicate(timeout=280)
    assert local.returncode == 0, local_err
    first, second = contents(home / "tones.mltk.zip"), contents(here / "tones.mltk.zip")
    assert list(first) == list(second)
    assert {"tones.tflite", "tones.keras", "train/training-history.json", "train/training-history.png"} < set(
        first
    )
    for name in first:
        np.testing.assert_equal(first[name], second[name], err_msg=name)
    assert first["tones.keras"]["weights"]
