"""Programs build for every board without a warning, fit or are refused, and are written whole or not at all."""

import re
import shutil
import subprocess
import sys

import firmware_models as models
import pytest

from mltk.firmware.boards import BOARDS, board_of, find_board
from mltk.firmware.firmware import make_firmware
from mltk.firmware.settings_c import c_string, gain_as_fraction
from mltk.firmware.targets import TARGETS, find_target
from mltk.tflite.model import TfliteModel
from mltk.tflite.parameters import TfliteModelParameters
from mltk.utils.errors import DetectionError, DeviceError, MltkError


def test_boards_are_those_of_the_documentation():
    assert list(BOARDS) == [
        *("lm3s6965", "mps2-an385", "mps2-an386", "mps2-an500", "mps2-an505", "mps3-an547", "microbit"),
        "bluepill",
    ]
    pill = find_board("BluePill")
    assert (pill.flash.size, pill.ram.size, pill.clock_hz) == (65_536, 20_480, 72_000_000)
    assert find_board("mps2_an386").target is TARGETS["cortex-m4"]


def test_every_target_has_a_board():
    assert {name: board_of(target).name for name, target in TARGETS.items()} == {
        "cortex-m0": "microbit",
        "cortex-m0plus": "microbit",
        "cortex-m3": "mps2-an385",
        "cortex-m4": "mps2-an386",
        "cortex-m7": "mps2-an500",
        "cortex-m33": "mps2-an505",
        "cortex-m55": "mps3-an547",
    }


def test_a_typo_is_told_with_the_names():
    with pytest.raises(DeviceError) as caught:
        find_board("bluepil")
    assert 'did you mean "bluepill"?' in str(caught.value)
    assert all(name in str(caught.value) for name in BOARDS)


@pytest.mark.parametrize("board", list(BOARDS))
def test_ziglang_builds_it_without_a_warning(built, board):
    """`build` compiles with -Wall -Wextra -Wconversion -Werror."""
    firmware, elf = built(board)
    assert elf[:4] == b"\x7fELF"
    assert firmware.board.name == board


@pytest.mark.skipif(
    shutil.which("arm-none-eabi-gcc") is None or shutil.which("make") is None,
    reason="arm-none-eabi-gcc or make is not installed",
)
# Every core and every driver.
@pytest.mark.parametrize("board", [name for name in BOARDS if name not in ("mps2-an385", "mps2-an500")])
def test_gcc_builds_it_without_a_warning(tmp_path, board):
    firmware = make_firmware(models.keyword_model(**models.SETTINGS["loud"]), find_board(board))
    folder = firmware.write(tmp_path)
    made = subprocess.run(
        ["make", "-C", folder, "OPTIMIZE=-O1 -Werror"], capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    assert made.stderr == ""
    assert (folder / "tiny_words.elf").read_bytes()[:4] == b"\x7fELF"


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_with_ziglang_and_a_file_of_the_users(ziglang, tmp_path):
    firmware = make_firmware(models.keyword_model(), find_board("bluepill"))
    folder = firmware.write(tmp_path)
    own = '#include "app/audio_provider.h"\nsize_t audio_provider_read(int16_t *samples, size_t most) {\n'
    (folder / "microphone.c").write_text(own + "  (void)samples;\n  return most;\n}\n")
    command = ["make", "-C", folder, "TOOLS=zig", "EXTRA=microphone.c", "OPTIMIZE=-Os -Werror"]
    python = f"PYTHON={sys.executable}"
    made = subprocess.run([*command, python], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    assert made.stderr == ""
    # The user's function has replaced ours, and with it what ours opened.
    elf = (folder / "tiny_words.elf").read_bytes()
    assert b"audio_provider_read" in elf
    assert b"audio.raw\0" not in elf


def large_model(n_outputs):
    """A dense layer of 20 inputs and many outputs that a second one adds up again."""
    import numpy as np
    from tflite_models import INT32, Builder, schema

    build = Builder()
    rng = np.random.default_rng(0)
    source = build.tensor((1, 20), scale=1.0)
    wide = build.tensor((1, n_outputs), scale=1.0)
    end = build.tensor((1, 3), scale=1 / 256, zero_point=-128)
    for given, result, shape in ((source, wide, (n_outputs, 20)), (wide, end, (3, n_outputs))):
        weights = build.tensor(shape, scale=0.01, data=rng.integers(-127, 128, shape))
        bias = build.tensor(shape[:1], INT32, scale=0.01, data=np.zeros(shape[0], int))
        build.operator(9, [given, weights, bias], [result], schema.FullyConnectedOptionsT(), version=4)
    data = TfliteModelParameters(models.PLAIN).add_to_tflite_flatbuffer(build.pack([source], [end]))
    return TfliteModel(data, path="large.tflite")


def test_too_much_flash_is_refused_by_the_linker(ziglang):
    model = large_model(2500)  # 57,500 bytes of weights, 10,000 of bias
    with pytest.raises(DeviceError, match=r"on bluepill: .*FLASH.*overflowed by \d+ bytes"):
        make_firmware(model, find_board("bluepill")).build()


def test_too_much_ram_is_refused_by_the_linker(ziglang):
    # A window of a quarter of a second wants an FFT of 4096 points.
    model = models.keyword_model(**{"fe.window_size_ms": 250, "fe.sample_length_ms": 330})
    with pytest.raises(DeviceError, match=r"on bluepill: .*RAM"):
        make_firmware(model, find_board("bluepill")).build()


def test_models_that_do_not_fit_the_firmware_are_refused(shared_dir):
    import tflite_models

    board = find_board("bluepill")
    bare = TfliteModel(tflite_models.tiny_keyword_model(), path="bare.tflite")
    with pytest.raises(DetectionError, match="no frontend settings"):
        make_firmware(bare, board)
    with pytest.raises(DetectionError, match="do not belong together"):
        make_firmware(models.keyword_model(**{"fe.filterbank_n_channels": 5}), board)


def test_folder_is_written_all_or_none(tmp_path):
    firmware = make_firmware(models.keyword_model(), find_board("bluepill"))
    folder = firmware.write(tmp_path / "new" / "program")
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert found == set(firmware.files)
    (folder / "mine.c").write_text("int mine;\n")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    (folder / "link.ld").unlink()
    (folder / "link.ld" / "in the way").mkdir(parents=True)
    other = make_firmware(models.keyword_model(detection_threshold=99), find_board("lm3s6965"))
    with pytest.raises(MltkError, match=r"link\.ld"):
        other.write(folder)
    after = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    del before[folder / "link.ld"]
    assert after == before


def test_program_is_what_the_documentation_says():
    files = make_firmware(models.keyword_model(), find_board("bluepill")).files
    assert {"Makefile", "link.ld", "README.md", "app/main.c", "app/kws.c", "app/startup.c"} <= set(files)
    assert "LENGTH = 65536" in files["link.ld"]
    assert "LENGTH = 20480" in files["link.ld"]
    # Of the drivers only the board's, of the frontend's set-up nothing, no placeholder left.
    assert [name for name in files if name.startswith("app/board_") and name.endswith(".c")] == [
        "app/board_stm32f1.c"
    ]
    assert not any("_setup" in name for name in files)
    for name, text in files.items():
        assert not re.search(r"@[A-Z_]+@", text), name
        if name.endswith((".c", ".h")) and not name.startswith("model/"):
            assert not re.search(
                r"\b(malloc|printf|double|float)\b", re.sub(r"/\*.*?\*/", "", text, flags=re.S)
            ), name


def test_labels_and_gains_survive_c():
    assert c_string('ä "x"\\?') == '"\\303\\244 \\042x\\042\\134\\077"'
    assert gain_as_fraction(1.0) == (0, 0)
    assert gain_as_fraction(3.0) == (3, 0)
    numerator, shift = gain_as_fraction(2.7)
    assert numerator / 2**shift == pytest.approx(2.7, abs=1e-6)


def test_target_of_any_spelling():
    assert find_target("M4") is find_target("Cortex_M4") is TARGETS["cortex-m4"]
    with pytest.raises(DeviceError, match='did you mean "cortex-m4"'):
        find_target("cortex-m44")
