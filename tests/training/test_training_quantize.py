"""`quantize_model` and `mltk quantize`: the float32 model beside the int8 one, and the report on both."""

import json
import shutil
import sys
import zipfile
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="the extra 'train' is not installed")

from mltk.cli.main import main
from mltk.evaluation import stored
from mltk.evaluation.quantization import FOLDER, quantization_report
from mltk.tflite.model import TfliteModel
from mltk.training.quantize import quantize_model


@pytest.fixture
def archive(trained: Any, tmp_path: Path) -> Path:
    return Path(shutil.copyfile(trained.archive, tmp_path / trained.archive.name))


def members(archive: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(archive) as source:
        return {name: source.read(name) for name in source.namelist()}


def run(*arguments: str) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["mltk", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
    return int(ended.value.code or 0)


def test_a_training_leaves_the_float32_model_beside_the_int8_one(trained: Any) -> None:
    files = members(trained.archive)
    float32 = TfliteModel(files["tones.float32.tflite"])
    assert {tensor.type_name for tensor in [*float32.inputs, *float32.outputs]} == {"float32"}
    assert float32.parameters["classes"] == TfliteModel(files["tones.tflite"]).parameters["classes"]
    x = np.random.default_rng(0).integers(-128, 127, (4, *float32.inputs[0].shape[1:])).astype(np.float32)
    np.testing.assert_allclose(
        float32.predict_batch(x), trained.results.keras_model.predict(x, verbose=0), atol=1e-5
    )


def test_a_stale_float32_model_does_not_stay(archive: Path) -> None:
    quantize_model(str(archive), float32=False)
    assert "tones.float32.tflite" not in members(archive)
    quantize_model(str(archive))
    assert "tones.float32.tflite" in members(archive)


def test_an_output_file_gets_its_float32_model_beside_it(archive: Path, tmp_path: Path) -> None:
    before = archive.read_bytes()
    quantize_model(str(archive), output=tmp_path / "other.tflite")
    assert TfliteModel.load_flatbuffer_file(tmp_path / "other.float32.tflite").inputs[0].dtype == np.float32
    assert archive.read_bytes() == before


def test_the_report_on_the_clips_that_the_training_kept_apart(archive: Path) -> None:
    report = quantization_report(archive, count=10)
    assert report.n_samples == 10
    assert [layer.name for layer in report.layers] == [
        "input",
        *("conv_2d", "reshape", "fully_connected", "softmax"),
    ]
    assert report.unmatched == []
    assert report.layers[1].sqnr_db > 20
    assert report.agreement > 0.9
    assert f"{FOLDER}/tones-quantization.png" in members(archive)


def test_the_command(archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    counted = mock.Mock(side_effect=stored.validation_samples)
    with (
        mock.patch("mltk.training.quantize.validation_samples", counted),
        mock.patch("mltk.evaluation.quantization.validation_samples", counted),
        mock.patch("mltk.evaluation.quantization.stored_samples", counted),
    ):
        assert run("quantize", str(archive), "--report", "--count", "5") == 0
    assert counted.call_count == 1, "the clips are read once, for the ranges and for the report"
    assert "Same class as float32" in capsys.readouterr().out
    assert run("quantize", str(archive), "--report-only", "--json") == 0
    assert json.loads(capsys.readouterr().out)["name"] == "tones"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--report", "--no-float32"], "leave out --no-float32"),
        (["--report-only", "--weights", "x.h5"], "--report-only converts nothing"),
        (["--json"], "add --report"),
    ],
)
def test_options_that_contradict(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("quantize", "tones", *arguments) != 0
    assert told in capsys.readouterr().err
