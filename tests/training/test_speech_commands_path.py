"""The READMEs' path in small: the script from synthesized words to an emulated bluepill that hears them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

for module, extra in (
    ("tensorflow", "train"),
    ("espeakng_loader", "synth"),
    ("ziglang", "device"),
    ("unicorn", "device"),
):
    pytest.importorskip(module, reason=f"the extra '{extra}' is not installed")

SCRIPT = Path(__file__).parents[2] / "scripts" / "micro_speech_path.py"


@pytest.mark.slow
def test_the_readmes_path(tmp_path: Path) -> None:
    arguments = [
        "--steps",
        "60,20",
        "--count",
        "60",
        "--batch_size",
        "50",
        "--measure",
        "0",
        "--threshold",
        "80",
    ]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines.count("~~~ALL TESTS PASSED~~~") == 2
    assert any(line.startswith("Final test accuracy = ") for line in lines)
    heard = [line for line in lines if line.startswith("Heard ")]
    # Once this computer's, once the board's
    assert heard[: len(heard) // 2] == heard[len(heard) // 2 :] != []
    files = (
        "speech_commands_train/tiny_conv.ckpt-80.npz",
        "tiny_conv.mltk.zip",
        "tiny_conv.tflite",
        "micro_features/tiny_conv_micro_features_model_data.cc",
        "tiny_conv-c/tiny_conv.c",
        "yes_features_data.cc",
        "no_features_data.h",
    )
    for name in files:
        assert (tmp_path / name).is_file(), name
