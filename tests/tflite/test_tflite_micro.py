"""TensorFlow Lite Micro on the PC."""

import sys
import zipfile
from pathlib import Path

import ai_edge_litert.schema_py_generated as schema
import numpy as np
import pytest
from tflite_models import FLOAT32, Builder, tiny_keyword_model

from mltk.tflite import micro
from mltk.tflite.micro import MicroInterpreter, TfliteMicro, arena_size, is_available
from mltk.tflite.model import TfliteModel
from mltk.tflite.parameters import TfliteModelParameters
from mltk.utils.errors import MltkError, TfliteError


@pytest.fixture(autouse=True)
def needs_tflite_micro(request: pytest.FixtureRequest) -> None:
    if "missing" not in request.node.name and not is_available():
        pytest.skip("tflite-micro is not installed")


def archived(shared_dir: Path, name: str) -> bytes:
    with zipfile.ZipFile(shared_dir / "models" / f"{name}.mltk.zip") as archive:
        return archive.read(f"{name}.tflite")


def test_micro_agrees_with_litert(tmp_path: Path) -> None:
    path = tmp_path / "tiny.tflite"
    path.write_bytes(tiny_keyword_model())
    model, lite = TfliteMicro.load_tflite_model(path), TfliteModel(tiny_keyword_model())
    rng = np.random.default_rng(1)
    for _ in range(30):
        x = rng.integers(-128, 128, (5, 4, 1)).astype(np.int8)
        assert model.input(value=x).shape == (1, 5, 4, 1)
        model.invoke()
        output = model.output()
        assert (output.shape, output.dtype) == ((1, 3), np.int8)
        np.testing.assert_allclose(output[0], lite.predict(x, np.int8), atol=1)
    np.testing.assert_array_equal(model.input(), x[np.newaxis])


def test_real_numbers_are_quantized() -> None:
    model = TfliteMicro.load_flatbuffer(tiny_keyword_model())
    assert model.input(value=np.full((5, 4, 1), 3.4)).tolist() == np.full((1, 5, 4, 1), 3).tolist()


@pytest.mark.parametrize(
    ("name", "size"), [("keyword_spotting_alexa", 56_448), ("tflite_micro_speech", 9_616)]
)
def test_arena_sizes_are_those_of_the_reference_page(shared_dir: Path, name: str, size: int) -> None:
    assert arena_size(archived(shared_dir, name)) == size


def test_an_arena_of_the_size_told_is_enough() -> None:
    # What TFLM keeps is too little for this model to start: its convolution takes more for a moment.
    data = tiny_keyword_model()
    size, kept = arena_size(data), MicroInterpreter(data).arena_bytes_used()
    assert size % 16 == 0
    assert kept <= size <= kept + 1024 + 16
    output = MicroInterpreter(data, size).run(np.zeros((1, 5, 4, 1), np.int8))[0]
    np.testing.assert_array_equal(output, MicroInterpreter(data).run(np.zeros((1, 5, 4, 1), np.int8))[0])


def test_an_arena_that_is_too_small_is_an_error(shared_dir: Path) -> None:
    with pytest.raises(TfliteError, match="can not load the model"):
        MicroInterpreter(archived(shared_dir, "tflite_micro_speech"), 9_000)


def test_an_arena_above_the_first_guess_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = MicroInterpreter(tiny_keyword_model()).arena_bytes_used()
    monkeypatch.setattr(micro, "_FIRST_ARENA_BYTES", 1024)
    assert MicroInterpreter(tiny_keyword_model()).arena_bytes_used() == expected


def test_details_print_as_the_reference_prints_them(shared_dir: Path) -> None:
    model = TfliteMicro.load_flatbuffer(archived(shared_dir, "tflite_micro_speech"))
    assert str(model.details).splitlines() == [
        "Name: tflite_micro_speech",
        "Version: 1",
        "Date: 2022-04-13T18:13:47.367Z",
        "Hash: 127279a057fbc17f3fc6cda82a8c8e4e",
        "Accelerator: none",
        "Classes: yes, no, _unknown_, _silence_",
        "Total runtime memory: 9.616 kBytes",
    ]


def test_a_model_without_parameters_has_details() -> None:
    details = TfliteMicro.load_flatbuffer(tiny_keyword_model()).details
    assert (details.name, details.classes) == ("unknown", ())
    assert "kBytes" in str(details)
    named = TfliteModelParameters(name="tiny").add_to_tflite_flatbuffer(tiny_keyword_model())
    assert TfliteMicro.load_flatbuffer(named).details.name == "tiny"


def test_wrong_use_is_an_error() -> None:
    model = TfliteMicro.load_flatbuffer(tiny_keyword_model())
    with pytest.raises(TfliteError, match="5x4x1"):
        model.input(value=np.zeros((4, 4, 1), np.int8))
    with pytest.raises(TfliteError, match="one sample"):
        model.input(value=np.zeros((2, 5, 4, 1), np.int8))
    with pytest.raises(TfliteError, match="no input 1"):
        model.input(1)
    with pytest.raises(TfliteError, match="no output 1"):
        model.output(1)
    TfliteMicro.unload_model(model)
    for action in (model.invoke, model.output):
        with pytest.raises(TfliteError, match="unloaded"):
            action()


def test_an_operator_that_tflm_lacks_is_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    build = Builder()
    source, output = build.tensor((1, 4), FLOAT32), build.tensor((1, 4), FLOAT32)
    build.operator(118, [source], [output], schema.BroadcastToOptionsT())
    with pytest.raises(TfliteError, match=r"x\.tflite can not be run|crashes"):
        micro.TfliteMicroModel(TfliteModel(build.pack([source], [output]), path="x.tflite"))
    assert capfd.readouterr().err == ""


def test_a_damaged_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "x.tflite"
    path.write_bytes(tiny_keyword_model()[:300])
    with pytest.raises(TfliteError, match=r"x\.tflite"):
        TfliteMicro.load_tflite_model(path)
    with pytest.raises(MltkError, match="nowhere"):
        TfliteMicro.load_tflite_model("nowhere.tflite")


def test_a_missing_package_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tflite_micro", None)
    assert not is_available()
    with pytest.raises(TfliteError, match="Linux"):
        MicroInterpreter(tiny_keyword_model())
