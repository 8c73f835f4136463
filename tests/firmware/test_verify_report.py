"""`mltk verify`: the same bits are told, and any other bit is found, where it is first."""

import json
import re
import subprocess
import sys
from dataclasses import replace

import firmware_models as models
import numpy as np
import pytest
import typer

from mltk.cli.verify import verify
from mltk.firmware import host, layer_engines, parity, sound_engines
from mltk.firmware.compile import compile_model
from mltk.firmware.host import HostModel, HostProgram
from mltk.firmware.parity import first_difference, verify_model
from mltk.firmware.parity_report import Cell, write_report
from mltk.firmware.targets import find_target
from mltk.tflite.model import TfliteModel
from mltk.tflite.plan.engine import NativeModel
from mltk.utils.errors import DetectionError, DeviceError, MissingExtraError, TfliteError

LAYERS = ["0 conv_2d", "1 reshape", "2 fully_connected", "3 softmax"]
ROWS = ["features", "model input", *LAYERS, "scores", "heard"]


@pytest.fixture(scope="session")
def cc():
    try:
        host.host_compiler()
    except MissingExtraError:
        pytest.skip("no C compiler (cc, gcc, clang, ziglang)")


def changed(compiled, pattern, put):
    """Return a compiled model whose C has one number changed."""
    path = f"{compiled.name}.c"
    text, n = re.subn(pattern, put, compiled.files[path], count=1, flags=re.DOTALL)
    assert n == 1
    return replace(compiled, files={**compiled.files, path: text})


def spoiled(pattern, put=lambda found: f"{found[1]}{int(found[2]) ^ 64}"):
    return lambda model, name=None, target=None: changed(compile_model(model, name, target), pattern, put)


@pytest.fixture(scope="session")
def on_the_chip(cc, ziglang, unicorn):
    return verify_model(models.keyword_model(), targets=[find_target("m3")], n_inputs=4)


def test_everything_is_the_same(on_the_chip):
    report = on_the_chip
    assert report.is_same, report.to_string()
    assert [row.name for row in report.rows] == ROWS
    assert report.engines[-2:] == ("C on this machine", "C on cortex-m3")
    for row in report.rows:
        assert set(row.cells) == set(report.engines)
        assert all(cell.n_values > 0 for cell in row.cells.values()), row
    assert report.n_inputs == 8
    assert len(report.sound.lines) >= 1, "the made-up sound should make this model hear something"
    assert report.notes == () or "tflite-micro" in report.notes[0]


def test_the_report_says_it_in_three_ways(on_the_chip, tmp_path):
    text = on_the_chip.to_string()
    assert all(name in text for name in (*ROWS, "C on cortex-m3", "The same bits"))
    said = json.loads(on_the_chip.to_json())
    assert said["same"] is True
    assert said["values"] == on_the_chip.n_values
    assert [row["name"] for row in said["rows"]] == ROWS
    paths = write_report(on_the_chip, tmp_path / "out")
    assert [path.name for path in paths] == ["verify.txt", "verify.json", "verify.png"]
    assert paths[2].read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("settings", ["loud", "odd"])
def test_other_settings_on_this_machine(cc, settings):
    """A gain, a dynamic scale, windows that do not end at whole milliseconds, hostile class names."""
    report = verify_model(models.keyword_model(**models.SETTINGS[settings]), targets=[], n_inputs=2)
    assert report.is_same, report.to_string()
    assert report.sound.lines


@pytest.mark.parametrize(("layer", "step"), [(0, 0), (2, 1)])
def test_a_wrong_weight_is_found_in_its_layer(cc, monkeypatch, layer, step):
    monkeypatch.setattr(
        layer_engines, "compile_model", spoiled(rf"(step_{step}_weights\[\d+\] = {{\s*)(-?\d+)")
    )
    report = verify_model(models.keyword_model(), targets=[], n_inputs=4)
    assert not report.is_same
    (difference,) = report.differences
    assert difference.engine == "C on this machine"
    assert difference.row == LAYERS[layer]
    assert difference.expected != difference.got
    assert report.summary().startswith(f"C on this machine differs first in {LAYERS[layer]}, value [0, ")
    wrong = {row.name: row.cells["C on this machine"].n_different for row in report.rows}
    assert not any(wrong[name] for name in LAYERS[:layer]), "what comes before the layer is the same"
    assert wrong["features"] == wrong["heard"] == 0, "the sound was heard with the right weights"
    assert "differ" in report.to_string()
    assert report.draw().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("path", "pattern", "row"),
    [
        ("app/kws_settings.c", r"(window_coefficients\[\d+\] = {(?:\s*-?\d+,){99})\s*-?\d+", "features"),
        ("app/kws_settings.c", r"(thresholds\[3\] = {\s*)\d+", "heard"),
        ("model/kws_model.c", r"(step_0_bias\[2\] = {\s*)-?\d+", "scores"),
    ],
)
def test_a_wrong_table_is_found_where_it_is_used(cc, monkeypatch, path, pattern, row):
    def spoil(model, board, test=False):
        firmware = make(model, board, test)
        text, n = re.subn(pattern, r"\g<1> 255", firmware.files[path], count=1)
        assert n == 1
        return replace(firmware, files={**firmware.files, path: text})

    make = sound_engines.make_firmware
    monkeypatch.setattr(sound_engines, "make_firmware", spoil)
    report = verify_model(models.keyword_model(detection_threshold=60), targets=[], n_inputs=2)
    (difference,) = report.differences
    assert (difference.engine, difference.row) == ("C on this machine", row)


def test_without_tflite_micro_it_says_so(cc, monkeypatch):
    monkeypatch.setattr(parity, "is_available", lambda: False)
    report = verify_model(models.keyword_model(), targets=[], n_inputs=2)
    assert report.is_same
    assert report.reference == "native"
    assert report.engines == ("C on this machine",)
    assert any("tflite-micro is not installed" in note for note in report.notes)


def test_without_any_compiler_it_says_so(monkeypatch):
    pytest.importorskip("tflite_micro", reason="needs something to compare with")

    def none():
        raise MissingExtraError("device", "Compiling")

    monkeypatch.setattr(host, "host_compiler", none)
    monkeypatch.setattr(parity, "find_spec", lambda name: None)
    report = verify_model(models.keyword_model(), n_inputs=2)
    assert report.engines == ("native",)
    assert len(report.notes) == 3, report.notes
    assert report.is_same


def test_a_model_that_hears_nothing_is_compared_by_its_layers(cc):
    model = TfliteModel(models.tflite_models.tiny_keyword_model(), path="tiny.tflite")
    report = verify_model(model, targets=[], n_inputs=3)
    assert report.is_same
    assert [row.name for row in report.rows] == LAYERS
    assert any("holds no frontend settings" in note for note in report.notes)
    with pytest.raises(DetectionError, match="holds no frontend settings"):
        verify_model(model, "x.wav", targets=[], n_inputs=3)


@pytest.mark.parametrize("count", [0, -1, 1001])
def test_a_number_of_inputs_out_of_range_is_refused(count):
    with pytest.raises(TfliteError, match="give 1 to 1000"):
        verify_model(models.keyword_model(), targets=[], n_inputs=count)


def test_the_command_ends_with_1_for_a_difference(cc, monkeypatch, tmp_path, capsys):
    path = tmp_path / "tiny.tflite"
    path.write_bytes(models.keyword_model().flatbuffer_data)
    monkeypatch.setattr(parity, "find_spec", lambda name: None)
    verify(str(path), as_json=True)
    assert json.loads(capsys.readouterr().out)["same"] is True
    monkeypatch.setattr(layer_engines, "compile_model", spoiled(r"(step_0_weights\[\d+\] = {\s*)(-?\d+)"))
    with pytest.raises(typer.Exit) as stop:
        verify(str(path), output=str(tmp_path / "out"))
    assert stop.value.exit_code == 1
    assert "differs first in 0 conv_2d" in capsys.readouterr().out
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["verify.json", "verify.png", "verify.txt"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--target", "cortex-m9"], "no target 'cortex-m9'"),
        (["--target", "m55"], "can not be emulated"),
        (["--audio", "no.wav"], "no.wav"),
    ],
)
def test_what_can_not_be_compared_is_said(unicorn, ziglang, tmp_path, arguments, said):
    path = tmp_path / "tiny.tflite"
    path.write_bytes(models.keyword_model().flatbuffer_data)
    run = "from mltk.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", run, "verify", str(path), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_of_it_loads_tensorflow(cc, tmp_path):
    path = tmp_path / "tiny.tflite"
    path.write_bytes(models.keyword_model().flatbuffer_data)
    run = (
        "import sys; from mltk.firmware.parity import verify_model; from mltk.tflite.model import TfliteModel; "
        f"r = verify_model(TfliteModel.load_flatbuffer_file({str(path)!r}), targets=[], n_inputs=1); r.draw(); "
        "print(r.is_same, 'tensorflow' in sys.modules, 'keras' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", run], capture_output=True, text=True, check=True, timeout=300
    )
    assert done.stdout.split() == ["True", "False", "False"]


# --- Its parts -------------------------------------------------------------------------------------------------------


def test_first_difference_compares_bytes():
    a = np.array([[1.0, np.nan], [0.0, 4.0]], np.float32)
    assert first_difference("e", "r", "p", a, a.copy()) is None, "not a number is the same as itself here"
    b = a.copy()
    b[1, 0] = -0.0
    found = first_difference("e", "r", "p", a, b)
    assert (found.index, found.expected, found.got) == ((1, 0), "0.0", "-0.0")


def test_cells_count():
    a, b = np.array([1, 2, 3], np.int8), np.array([1, 5, 2], np.int8)
    assert Cell().plus(a, a).plus(a, b) == Cell(6, 2, 3.0)


def test_traces_of_other_lengths_differ_where_one_ends():
    a, b = np.arange(6, dtype=np.uint8).reshape(3, 2), np.arange(4, dtype=np.uint8).reshape(2, 2)
    assert first_difference("e", "r", "p", *parity._same_length(a, b)).index == (2, 0)
    assert first_difference("e", "r", "p", *parity._same_length(b, a)).index == (2, 0)


def test_the_host_gives_what_the_engine_gives(cc):
    model = models.keyword_model()
    program = HostModel(model, compile_model(model, "RENAME"))
    native = NativeModel(model)
    rng = np.random.default_rng(1)
    samples = [[rng.integers(-128, 128, (1, 5, 4, 1), np.int8)] for _ in range(3)]
    for sample, got in zip(samples, program.outputs(samples), strict=True):
        assert np.array_equal(got[0], native.run(*sample)[0])
    for sample, got in zip(samples, program.layers(samples), strict=True):
        expected = [output for _, outputs in native.layers(*sample) for output in outputs]
        assert all(np.array_equal(a, b) for a, b in zip(got, expected, strict=True))


def test_what_the_compiler_refuses_is_one_sentence(cc):
    with pytest.raises(DeviceError, match=r"My C can not be built: .*error"):
        HostProgram({"main.c": "int main(void) { return no; }\n"}, "My C")


def test_sanitizers_end_a_program(cc):
    text = "#include <stdlib.h>\nint main(void) { volatile char *p = malloc(4); p[4] = 1; return 0; }\n"
    try:
        program = HostProgram({"main.c": text}, "My C", sanitize=True)
    except DeviceError:
        pytest.skip("the compiler has no sanitizers")
    with pytest.raises(DeviceError, match=r"My C failed on this machine .*(overflow|insufficient space)"):
        program.run(b"")
