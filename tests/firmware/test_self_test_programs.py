"""Programs that test a model: what they print here and on emulated chips, and that they can fail."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from self_test_models import features, make_model
from typer.testing import CliRunner

from mltk.audio.write import write_audio_file
from mltk.cli.main import make_app
from mltk.firmware.boards import find_board
from mltk.firmware.self_test import FAILED, PASSED, TestClip, make_self_test, passed, read_clip
from mltk.frontend.settings import AudioFeatureGeneratorSettings
from mltk.utils.errors import DeviceError, MltkError

CLIPS = [TestClip("up.wav", "high", features(100)), TestClip("down.wav", "low", features(-7))]


def test_all_tests_pass_here() -> None:
    lines = make_self_test(make_model(), CLIPS).run()
    assert lines == [
        "Testing up.wav: heard high (228)",
        "Testing down.wav: heard low (135)",
        "2/2 tests passed",
        PASSED,
    ]
    assert passed(lines)


@pytest.mark.parametrize("board", ["bluepill", "lm3s6965", "microbit", "mps2-an386"])
def test_all_tests_pass_on_emulated_boards(board: str) -> None:
    pytest.importorskip("ziglang", reason="the extra 'device' is not installed")
    pytest.importorskip("unicorn", reason="the extra 'device' is not installed")
    assert (
        make_self_test(make_model(), CLIPS, find_board(board)).run()
        == make_self_test(make_model(), CLIPS).run()
    )


def test_a_word_that_is_not_heard_fails() -> None:
    wrong = [CLIPS[0], replace(CLIPS[1], label="high")]
    lines = make_self_test(make_model(), wrong).run()
    assert lines[1:] == ["Testing down.wav: heard low (135), expected high", "1/2 tests passed", FAILED]
    assert not passed(lines)


def test_a_score_that_differs_from_pythons_fails() -> None:
    test = make_self_test(make_model(), CLIPS)
    source = test.files["app/self_test_clips.c"]
    expected = "scores_0[2] = {\n    -100, 100,\n}"
    assert expected in source
    test.files["app/self_test_clips.c"] = source.replace(expected, expected.replace("-100", "-99"))
    lines = test.run()
    assert lines[0] == "Testing up.wav: heard high (228), but the score of low differs from Python's"
    assert lines[-1] == FAILED


def test_written_folder_is_built_by_make(tmp_path: Path) -> None:
    if shutil.which("make") is None or shutil.which("cc") is None:
        pytest.skip("no make and C compiler on this machine")
    folder = make_self_test(make_model(), CLIPS).write(tmp_path / "test")
    # Where the suite itself was started by make, a make inside of it would tell the folders it enters.
    command = ["make", "--no-print-directory", "test"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == PASSED
    assert "warning" not in done.stderr
    failing = make_self_test(make_model(), [replace(CLIPS[0], label="low")]).write(tmp_path / "failing")
    assert subprocess.run(command, cwd=failing, capture_output=True, check=False).returncode != 0


def test_hostile_names_stay_text() -> None:
    name = 'a"; */ %s \\ ??/ \x1b[31m\nx'
    model = make_model(name=name, classes=[name, "high"])
    lines = make_self_test(model, [TestClip(name, name, features(-7))]).run()
    assert lines[-1] == PASSED
    assert len(lines) == 3
    assert "\x1b" not in lines[0]
    assert 'a"; */ %s \\ ??/' in lines[0]


@pytest.mark.parametrize(
    ("clips", "told"),
    [
        ([], "1 to 1000 clips, not 0"),
        ([replace(CLIPS[0], label="loud")], "'loud' of up.wav is no class of levels: it has low, high"),
        ([replace(CLIPS[0], features=np.zeros((4, 4), np.int8))], "has 16 features of int8, levels takes 12"),
        ([replace(CLIPS[0], features=np.zeros((4, 3), np.float32))], "features of float32"),
    ],
)
def test_clips_that_do_not_fit_are_told(clips: list[TestClip], told: str) -> None:
    with pytest.raises(DeviceError, match=told):
        make_self_test(make_model(), clips)


def test_models_that_can_not_be_tested_are_told(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="gives 2 scores, and its parameters name 3 classes"):
        make_self_test(make_model(classes=["a", "b", "c"]), CLIPS)
    path = tmp_path / "x.wav"
    write_audio_file(str(path), np.zeros(1000, np.float32), 16000)
    with pytest.raises(DeviceError, match=r"has no settings of its features \(fe"):
        read_clip(path, "low", make_model())


def test_command(tmp_path: Path) -> None:
    settings = AudioFeatureGeneratorSettings(
        sample_length_ms=90, window_size_ms=30, window_step_ms=20, filterbank_n_channels=3
    )
    model = make_model(**settings)
    path = tmp_path / "levels.tflite"
    path.write_bytes(model.flatbuffer_data)
    rng = np.random.default_rng(1)
    for word, level in (("low", 0.0), ("high", 0.5)):
        (tmp_path / word).mkdir()
        write_audio_file(
            str(tmp_path / word / "x.wav"), (level * rng.uniform(-1, 1, 1440)).astype(np.float32), 16000
        )
    clips = [str(tmp_path / word / "x.wav") for word in ("low", "high")]
    arguments = ["speech_commands", "test_micro_speech", str(path)]
    result = CliRunner().invoke(make_app(), [*arguments, *clips, "--output", str(tmp_path / "c")])
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[-1] == PASSED
    assert (tmp_path / "c" / "Makefile").is_file()
    swapped = CliRunner().invoke(make_app(), [*arguments, f"high={clips[0]}"])
    assert swapped.exit_code == 1
    assert swapped.output.splitlines()[-1] == FAILED
    for extra, told in (
        (["--board", "bluepil"], "bluepill"),
        (["--target", "m3", "--board", "bluepill"], "exclude"),
    ):
        refused = CliRunner().invoke(make_app(), [*arguments, *clips, *extra])
        assert isinstance(refused.exception, MltkError)
        assert told in str(refused.exception)
