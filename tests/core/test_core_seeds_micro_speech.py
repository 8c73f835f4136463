"""Seed 3 as it stands, from start to end in its dry run, with a small Speech Commands from a folder as a mirror."""

import hashlib
import importlib.util
import io
import os
import subprocess
import sys
import tarfile

import numpy as np
import pytest
from alexa_material import wav

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(
        importlib.util.find_spec("tensorflow") is None, reason="the extra 'train' is not installed"
    ),
]
PLACE = "download.tensorflow.org/data/speech_commands_v0.02.tar.gz"


def write_speech_commands(path):
    rng = np.random.default_rng(9)
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for word, tone_hz in (
            ("yes", 700),
            ("no", 1500),
            ("up", 2500),
            ("down", 4000),
            ("_background_noise_", 60),
        ):
            for speaker in range(16):
                data = wav(1.0, tone_hz + 11 * speaker, rng)
                member = tarfile.TarInfo(f"./{word}/{speaker:08x}_nohash_0.wav")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))


def test_it_trains_evaluates_and_profiles(shared_dir, tmp_path):
    archive = tmp_path / "mirror" / PLACE
    archive.parent.mkdir(parents=True)
    write_speech_commands(archive)
    sums = tmp_path / "sums"
    sums.write_text(f"{hashlib.sha256(archive.read_bytes()).hexdigest()}  {PLACE}\n")
    environment = {
        **os.environ,
        "MLTK_CACHE_DIR": str(tmp_path / "cache"),
        "MLTK_DOWNLOAD_MIRROR": str(tmp_path / "mirror"),
        "MLTK_DOWNLOAD_HASHES": str(sums),
        "PYTHONWARNINGS": "error",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    script = shared_dir / "seeds" / "tflite_micro_speech.py"
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert "Warning" not in done.stderr
    output = done.stdout + done.stderr
    assert "Trained tflite_micro_speech: 3 epochs" in output
    assert "Overall accuracy" in output
    assert "Layer Count: 4" in output
    assert (tmp_path / "tflite_micro_speech-test.mltk.zip").is_file()
