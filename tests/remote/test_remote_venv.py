"""The virtual environment on the other machine, with a tiny package in the place of ours."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from remote_server import Server

pytest.importorskip("asyncssh", reason="the extra 'ssh' is not installed")

MAIN = """
import os, sys, time, zipfile
def main():
    print("from the wheel", sys.prefix, os.environ["VIRTUAL_ENV"], {mark!r})
    with zipfile.ZipFile("words.mltk.zip", "w") as target:
        target.writestr("words.py", {mark!r})
        target.writestr("when", str(time.time_ns()))  # no two archives are the same, as of two trainings
"""


def write_wheel(folder: Path, mark: str) -> Path:
    path = folder / "mltk_audio-0.0.1-py3-none-any.whl"
    info = "mltk_audio-0.0.1.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("mltk/__init__.py", "")
        wheel.writestr("mltk/cli/__init__.py", "")
        wheel.writestr("mltk/cli/main.py", MAIN.format(mark=mark))
        wheel.writestr(
            f"{info}/METADATA",
            "Metadata-Version: 2.1\nName: mltk-audio\nVersion: 0.0.1\nProvides-Extra: train\n",
        )
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    return path


@pytest.mark.slow
def test_virtual_environment_is_made_once_and_follows_the_package(
    server: Server, run: Callable[..., tuple[int, str, str]], home: Path, tmp_path: Path
) -> None:
    wheel = write_wheel(home, "first")
    settings = home / ".mltk" / "user_settings.yaml"
    settings.write_text(
        settings.read_text().replace(
            "create_venv: false", f"package: {wheel}\n  environment: {{PIP_NO_INDEX: 1}}"
        )
    )
    (home / "words.py").write_text("# never run here\n")
    venv = tmp_path / "remote" / ".mltk-ssh" / "venv"

    code, out, err = run("train", "words")
    assert code == 0, err + out
    assert f"from the wheel {venv} {venv} first" in out
    assert "Installing" in out

    code, out, err = run("train", "words")
    assert code == 0, err + out
    assert "Installing" not in out

    write_wheel(home, "second")
    code, out, err = run("train", "words")
    assert code == 0, err + out
    assert f"{venv} second" in out

    wheel.write_bytes(b"no wheel")
    code, out, _ = run("train", "words")
    assert code == 2
    assert "virtual environment could not be made" in out
