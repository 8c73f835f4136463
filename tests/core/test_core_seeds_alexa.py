"""Seed 2 as it stands, from start to end in its dry run, with small data of the same form from a mirror."""

import importlib.util
import json
import os
import subprocess
import sys
import zipfile

import pytest
from alexa_material import N_ALEXA, write_mirror
from loopback import loopback_server

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),  # a minute and a half of computing, on machines that are busy otherwise
    pytest.mark.skipif(
        any(
            importlib.util.find_spec(name) is None
            for name in ("tensorflow", "audiomentations", "librosa", "cv2", "py7zr")
        ),
        reason="the extras 'train' and 'seeds' are not installed",
    ),
]
MLTK = "from mltk.cli.main import main; main()"
# audioread, which librosa asks about its backends, imports modules that Python 3.13 dropped.
WARNINGS = "error,ignore::DeprecationWarning:audioread.rawread"


@pytest.fixture(scope="module")
def mirror(tmp_path_factory):
    """The environment of a user behind a mirror, and the folder to work in."""
    folder = tmp_path_factory.mktemp("alexa")
    sums = write_mirror(folder / "mirror")
    with loopback_server() as server:
        for file in (folder / "mirror").rglob("*"):
            if file.is_file():
                server.files[f"/mirror/{file.relative_to(folder / 'mirror').as_posix()}"] = file.read_bytes()
        environment = {
            **os.environ,
            "MLTK_CACHE_DIR": str(folder / "cache"),
            "MLTK_DOWNLOAD_MIRROR": server.url("/mirror"),
            "MLTK_DOWNLOAD_HASHES": str(sums),
            "no_proxy": "127.0.0.1",
            "PYTHONWARNINGS": WARNINGS,
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }
        yield environment, folder, server


def run(mirror, *command):
    environment, folder, _ = mirror
    done = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, env=environment, cwd=folder, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert "Warning" not in done.stderr, done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def seed_2(shared_dir):
    return str(shared_dir / "seeds" / "keyword_spotting_alexa.py")


@pytest.fixture(scope="module")
def output(mirror, seed_2):
    return run(mirror, seed_2)


def test_it_trains_evaluates_and_profiles(output, mirror):
    _, folder, _ = mirror
    n_validation = N_ALEXA // 10
    assert "Found 250 samples belonging to 2 classes" in output
    assert f"alexa = {n_validation}\n" in output
    assert "Epoch 3/3" in output
    assert "Trained keyword_spotting_alexa: 3 epochs" in output
    assert "Overall accuracy" in output
    assert "Layer Count: 56" in output
    with zipfile.ZipFile(folder / "keyword_spotting_alexa-test.mltk.zip") as archive:
        names = set(archive.namelist())
    assert {
        "keyword_spotting_alexa.py",
        "keyword_spotting_alexa.test.tflite",
        "eval/tflite/eval-results.json",
    } <= names


def test_every_archive_is_fetched_once_and_kept(output, mirror):
    _, folder, server = mirror
    fetched = [path for path, _ in server.requests]
    assert len(fetched) == len(set(fetched)) == 13  # 7 archives, 6 recordings
    data = folder / "cache" / "datasets" / "alexa"
    assert len(list((data / "alexa").glob("*.wav"))) == N_ALEXA
    assert len(list((data / "_unknown" / "unknown").glob("*.wav"))) == 120  # of two archives
    keywords = data / "_unknown" / "mlcommons_keywords"
    assert sorted(entry.name for entry in keywords.iterdir() if entry.is_dir()) == [
        "about",
        "alexa",
        "backward",
    ]
    assert len(list((data / "_background_noise_" / "ambient").glob("*.wav"))) == 6


def test_the_workers_wrote_what_they_heard(output, mirror):
    _, folder, _ = mirror
    dump = folder / "cache" / "models" / "keyword_spotting_alexa" / "dataset_dump"
    sounds = {file.stem for file in dump.glob("*.wav")}
    pictures = {file.stem for file in dump.glob("*.jpg")}
    assert sounds == pictures
    assert len(sounds) > 100


def test_the_commands_do_the_same(output, mirror, seed_2):
    _, _, server = mirror
    before = len(server.requests)
    trained = run(mirror, "-c", MLTK, "train", seed_2, "--test")
    assert "Trained keyword_spotting_alexa: 3 epochs" in trained
    assert len(server.requests) == before  # all of it is there
    assert "Overall accuracy" in run(
        mirror, "-c", MLTK, "evaluate", "keyword_spotting_alexa-test", "--tflite"
    )
    profile = json.loads(run(mirror, "-c", MLTK, "profile", "keyword_spotting_alexa-test", "--json"))
    assert profile
