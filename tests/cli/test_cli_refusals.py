"""Every command against a missing file, a file of another kind, a read-only folder and a full disk: one sentence, exit code 2,
nothing half-written.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from mltk.audio.write import write_audio_file
from mltk.cli.main import main

MAIN = "from mltk.cli.main import main; main()"
Run = Callable[..., tuple[int, str]]
ALEXA = "keyword_spotting_alexa.mltk.zip"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run commands in this process; give their exit code and what they wrote to standard error."""
    monkeypatch.setenv("MLTK_CACHE_DIR", str(tmp_path / ".cache-of-test"))

    def run_command(*arguments: str | Path, cwd: Path) -> tuple[int, str]:
        monkeypatch.chdir(cwd)
        monkeypatch.setattr(sys, "argv", ["mltk", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as stop:
            main()
        return int(stop.value.code or 0), capfd.readouterr().err

    return run_command


def assert_refused(code: int, errors: str, *mentions: str) -> None:
    assert code == 2, errors
    assert "Traceback" not in errors
    told = [line for line in errors.splitlines() if line.startswith("mltk: ")]
    assert len(told) == 1, errors
    for mention in mentions:
        assert mention in told[0]


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """A data set of ten speakers' tones."""
    rng = np.random.default_rng(3)
    for word, pitch in (("yes", 400.0), ("no", 900.0), ("other", 1500.0)):
        for speaker in range(10):
            tone = np.sin(np.arange(8000) * 2 * np.pi * (pitch + 10 * speaker) / 16000)
            samples = (0.3 * tone + 0.01 * rng.standard_normal(8000)).astype(np.float32)
            name = f"{speaker:08x}_nohash_0.wav"
            write_audio_file(str(tmp_path / "words" / word / name), samples, 16000)
    return tmp_path / "words"


def commands_on(model: Path | str) -> list[list[str | Path]]:
    return [
        ["summarize", model, "--tflite"],
        ["profile", model],
        ["update_params", model, "volume_gain=1"],
        ["classify_audio", model, "--audio", "sound.wav"],
        ["evaluate", model, "--tflite", "--dataset", "words"],
        ["quantize", model],
        ["train", model, "--dataset", "words"],
    ]


WRONG = {
    "missing.mltk.zip": None,
    "missing.tflite": None,
    "missing.py": None,
    "text.mltk.zip": b"not a zip\n",
    "text.tflite": b"not a model\n",
    "empty.tflite": b"",
    "empty.mltk.zip": b"",
    "picture.png": b"\x89PNG\r\n\x1a\n",
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("number", range(7))
def test_a_model_that_is_none(name: str, number: int, tmp_path: Path, run: Run) -> None:
    if WRONG[name] is not None:
        (tmp_path / name).write_bytes(WRONG[name])
    before = sorted(tmp_path.iterdir())
    code, errors = run(*commands_on(name)[number], cwd=tmp_path)
    assert_refused(code, errors, name.partition(".")[0])
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "mention"),
    [
        (["classify_audio", "MODEL", "--audio", "missing.wav"], "missing.wav"),
        (["classify_audio", "MODEL", "--audio", "MODEL"], "MODEL"),
        (["classify_audio", "MODEL", "--audio", "."], "."),
        (
            ["classify_audio", "MODEL", "--threshold", "300", "--audio", "words/yes/00000000_nohash_0.wav"],
            "300",
        ),
        (["evaluate", "MODEL", "--tflite", "--dataset", "missing"], "missing"),
        (["evaluate", "MODEL", "--tflite", "--dataset", "MODEL"], "MODEL"),
        (["train", "tflite_micro_speech", "--dataset", "missing"], "missing"),
        (["train", "tflite_micro_speech", "--dataset", "MODEL"], "MODEL"),
        (["train", "tflite_micro_speech", "--dataset", "words/yes"], "yes"),
        (["train", "tflite_micro_speach", "--dataset", "words"], "tflite_micro_speech"),
        (["update_params", "MODEL", "nonsense"], "nonsense"),
        (["update_params", "MODEL", "--params", "missing.json"], "missing.json"),
        (["synthesize", "yes", "--out", "MODEL"], "MODEL"),
        (["synthesize", "../yes", "--out", "out"], "../yes"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_other_wrong_arguments(
    arguments: list[str], mention: str, clips: Path, shared_dir: Path, run: Run
) -> None:
    folder = clips.parent
    shutil.copy(shared_dir / "models" / ALEXA, folder / "MODEL.mltk.zip")
    before = sorted(path for path in folder.rglob("*") if ".cache-of-test" not in path.parts)
    arguments = ["MODEL.mltk.zip" if argument == "MODEL" else argument for argument in arguments]
    code, errors = run(*arguments, cwd=folder)
    assert_refused(code, errors, mention)
    assert sorted(path for path in folder.rglob("*") if ".cache-of-test" not in path.parts) == before


def mounted(folder: Path, options: str) -> None:
    """Mount a tmpfs; skip where that is not allowed."""
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("mounting a tmpfs takes the superuser of a Linux machine")


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk that is too small for what the commands write."""
    if not sys.platform.startswith("linux"):
        pytest.skip("mounting a tmpfs takes Linux")
    folder = tmp_path / "tiny"
    mounted(folder, "size=64k")
    yield folder
    os.chdir(tmp_path)
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def read_only_disk(tmp_path: Path, shared_dir: Path) -> Iterator[Path]:
    """A disk that holds a model and can not be written."""
    if not sys.platform.startswith("linux"):
        pytest.skip("mounting a tmpfs takes Linux")
    folder = tmp_path / "closed"
    mounted(folder, "size=8m")
    shutil.copy(shared_dir / "models" / ALEXA, folder / ALEXA)
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    yield folder
    os.chdir(tmp_path)
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk(tiny_disk: Path, clips: Path, shared_dir: Path, run: Run) -> None:
    folder = clips.parent
    # The model fits, its new version beside it does not.
    model = tiny_disk / "model.tflite"
    shutil.copy(shared_dir / "models" / "keyword_spotting_on_off.tflite", model)
    with (tiny_disk / "filler").open("wb") as filler:
        filler.write(bytes(40 * 1024))
    before = model.read_bytes()
    sound = folder / "sound.wav"
    write_audio_file(str(sound), np.random.default_rng(5).uniform(-0.3, 0.3, 48000).astype(np.float32), 16000)
    for arguments in (
        ["update_params", model, "volume_gain=1"],
        ["synthesize", "yes", "--count", "50", "--workers", "1", "--out", tiny_disk / "out"],
        [
            "classify_audio",
            model,
            "--audio",
            sound,
            "--dump-audio",
            tiny_disk,
        ],
        [
            "classify_audio",
            model,
            "--audio",
            sound,
            "--picture",
            tiny_disk / "p.png",
        ],
    ):
        code, errors = run(*arguments, cwd=folder)
        assert_refused(code, errors)
        left = [
            path
            for path in tiny_disk.rglob("*")
            if path.suffix in (".part", ".png", ".wav") or path.name[0] == "."
        ]
        kept = [path for path in left if path.suffix != ".wav" or path.stat().st_size == 0]
        assert kept == [], arguments
        assert model.read_bytes() == before


def test_training_onto_a_full_disk(tiny_disk: Path, clips: Path) -> None:
    pytest.importorskip("tensorflow", reason="the extra 'train' is not installed")
    environment = os.environ | {"MLTK_CACHE_DIR": str(clips.parent / "cache"), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-c", MAIN, "train", "tflite_micro_speech-test", "--dataset", str(clips)],
        cwd=tiny_disk,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert_refused(done.returncode, done.stderr, "tflite_micro_speech-test.mltk.zip")
    assert list(tiny_disk.iterdir()) == []


def test_a_read_only_disk(read_only_disk: Path, clips: Path, run: Run) -> None:
    folder = clips.parent
    model = read_only_disk / ALEXA
    clip = clips / "yes" / "00000000_nohash_0.wav"
    for arguments in (
        ["update_params", model, "volume_gain=1"],
        ["synthesize", "yes", "--count", "2", "--out", read_only_disk / "out"],
        ["classify_audio", model, "--audio", clip, "--dump-audio", read_only_disk / "out"],
        ["classify_audio", model, "--audio", clip, "--picture", read_only_disk / "p.png"],
    ):
        code, errors = run(*arguments, cwd=folder)
        assert_refused(code, errors)
    code, errors = run("summarize", model, "--tflite", cwd=folder)
    assert code == 0, errors
