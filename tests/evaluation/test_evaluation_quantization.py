"""The quantization report: figures that can be computed by hand, a published model, bad input."""

import json
import math
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import ai_edge_litert.schema_py_generated as schema
import flatbuffers
import numpy as np
import pytest

from mltk.evaluation.quantization import (
    FOLDER,
    compare,
    float32_beside,
    quantization_report,
    worst_layers,
)
from mltk.tflite.model import TfliteModel
from mltk.utils.errors import ModelError, TfliteError, TrainingError

RELU = 19
FLOAT32, INT8 = 0, 9


def relu_model(quantized: bool, names: tuple[str, str] = ("in", "out")) -> TfliteModel:
    """Return one RELU over 4 values: int8 from steps of 0.5 to steps of 0.1, or float32."""

    def tensor(name: str, scale: float, zero_point: int) -> Any:
        made = schema.TensorT(shape=[1, 4], type=INT8 if quantized else FLOAT32, name=name, buffer=0)
        if quantized:
            made.quantization = schema.QuantizationParametersT(scale=[scale], zeroPoint=[zero_point])
        return made

    graph = schema.SubGraphT(
        tensors=[tensor(names[0], 0.5, 0), tensor(names[1], 0.1, -128)],
        operators=[schema.OperatorT(opcodeIndex=0, inputs=[0], outputs=[1])],
        inputs=[0],
        outputs=[1],
    )
    code = schema.OperatorCodeT(builtinCode=RELU, deprecatedBuiltinCode=RELU, version=1)
    model = schema.ModelT(version=3, operatorCodes=[code], buffers=[schema.BufferT()], subgraphs=[graph])
    builder = flatbuffers.Builder(256)
    builder.Finish(model.Pack(builder), b"TFL3")
    return TfliteModel(bytes(builder.Output()))


def test_errors_are_those_computed_by_hand() -> None:
    # Steps of 0.5: 0.2 becomes 0. Steps of 0.1 from zero to 25.5: 30 becomes 25.5.
    samples = np.array([[0.2, 30.0, -4.0, 10.0], [1.0, 2.0, 3.0, 4.0]], np.float32)
    report = compare("relu", relu_model(False), relu_model(True), samples)
    source, output = report.layers
    assert (source.index, source.name, source.scale, source.zero_point) == (-1, "input", 0.5, 0)
    power = 0.2**2 + 30**2 + 4**2 + 10**2 + 1 + 4 + 9 + 16
    assert source.rms_error == pytest.approx(math.sqrt(0.2**2 / power), rel=1e-5)
    assert source.sqnr_db == pytest.approx(10 * math.log10(power / 0.2**2), rel=1e-5)
    assert source.max_error_lsb == pytest.approx(0.4, rel=1e-5)
    assert (source.saturated, source.at_ends) == (0.0, 0.0)
    assert (output.index, output.name, output.tensor) == (0, "relu", "out")
    power -= 16.0  # the negative value is gone
    noise = 4.5**2 + 0.2**2
    assert output.rms_error == pytest.approx(math.sqrt(noise / power), rel=1e-4)
    # This tensor's own steps can hold 0.2; only what lies beyond them is lost here.
    assert output.range_sqnr_db == pytest.approx(10 * math.log10(power / 4.5**2), rel=1e-4)
    assert output.max_error_lsb == pytest.approx(45.0, rel=1e-4)
    assert output.saturated == 1 / 8
    assert output.at_ends == 3 / 8  # 30, and two zeros
    assert report.agreement == 1.0
    assert report.max_output_error == pytest.approx(4.5, rel=1e-4)
    assert report.rms_output_error == pytest.approx(math.sqrt(noise / 8), rel=1e-4)
    assert worst_layers(report, 1) == [output]


def test_what_is_exact_and_what_is_nothing() -> None:
    exact = compare("relu", relu_model(False), relu_model(True), np.array([[1, 2, 3, 4]], np.float32))
    assert exact.layers[0].sqnr_db == math.inf
    nothing = compare("relu", relu_model(False), relu_model(True), -np.ones((1, 4), np.float32))
    assert math.isnan(nothing.layers[1].rms_error)
    for report, word in ((exact, "exact"), (nothing, "-")):
        assert word in [cell.strip() for cell in str(report).replace("\n", "|").split("|")]
        values = json.loads(report.to_json())
        assert values["n_samples"] == 1
        assert None in [layer["sqnr_db"] for layer in values["layers"]]


def test_integer_samples_are_the_devices_own_numbers() -> None:
    report = compare("relu", relu_model(False), relu_model(True), np.array([[2, 4, 6, 8]], np.int8))
    # The float model is trained on the numbers as they are; the device reads steps of 0.5.
    assert report.layers[0].rms_error == pytest.approx(0.5)


def test_what_has_no_partner_is_told() -> None:
    report = compare(
        "relu", relu_model(False, ("in", "other")), relu_model(True), np.ones((2, 4), np.float32)
    )
    assert report.unmatched == ["0 relu: out"]
    assert [layer.name for layer in report.layers] == ["input"]
    assert "Not compared, the float32 graph has no such tensor: 0 relu: out" in str(report)
    with pytest.raises(TrainingError, match=r"relu has no quantized tensor.*quantize the model again"):
        compare("relu", relu_model(False, ("a", "b")), relu_model(True), np.ones((2, 4), np.float32))
    with pytest.raises(TrainingError, match="no quantized tensor"):
        compare("relu", relu_model(False), relu_model(False), np.ones((2, 4), np.float32))


def test_bad_samples() -> None:
    with pytest.raises(TrainingError, match="no samples"):
        compare("relu", relu_model(False), relu_model(True), np.ones((0, 4), np.float32))
    with pytest.raises(TfliteError, match="takes samples of shape 4"):
        compare("relu", relu_model(False), relu_model(True), np.ones((2, 5), np.float32))


def write_pair(folder: Path) -> Path:
    path = folder / "relu.tflite"
    path.write_bytes(relu_model(True).flatbuffer_data)
    float32_beside(path).write_bytes(relu_model(False).flatbuffer_data)
    return path


def test_a_pair_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLTK_CACHE_DIR", str(tmp_path / "cache"))
    path = write_pair(tmp_path)
    assert float32_beside(path) == tmp_path / "relu.float32.tflite"
    report = quantization_report(path, samples=np.ones((30, 4), np.float32), count=10)
    assert report.n_samples == 10
    folder = tmp_path / "cache" / "models" / "relu" / FOLDER
    assert json.loads((folder / "quantization-report.json").read_text())["name"] == "relu"
    assert (folder / "quantization-report.txt").read_text() == f"{report}\n"
    assert (folder / "relu-quantization.png").read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(ModelError, match=r"clips that relu was validated with.*--dataset DIR"):
        quantization_report(path)
    with pytest.raises(TrainingError, match="samples for the report is 0"):
        quantization_report(path, count=0)
    float32_beside(path).unlink()
    with pytest.raises(ModelError, match=r"relu\.float32\.tflite is missing"):
        quantization_report(path, samples=np.ones((3, 4), np.float32))


def test_the_published_alexa_model(shared_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLTK_CACHE_DIR", str(tmp_path / "cache"))
    archive = tmp_path / "keyword_spotting_alexa.mltk.zip"
    shutil.copyfile(shared_dir / "models" / archive.name, archive)
    with zipfile.ZipFile(archive) as before:
        members = {name: before.read(name) for name in before.namelist()}
    features = np.random.default_rng(1).integers(-128, 100, (4, 118, 1, 108)).astype(np.int8)
    report = quantization_report(archive, samples=features)
    assert len(report.layers) == 57  # 56 operators and the input
    assert report.unmatched == []
    assert report.layers[0].sqnr_db == math.inf  # the device's own numbers
    assert min(layer.sqnr_db for layer in report.layers) > 10
    with zipfile.ZipFile(archive) as after:
        assert set(after.namelist()) - set(members) == {
            f"{FOLDER}/quantization-report.json",
            f"{FOLDER}/quantization-report.txt",
            f"{FOLDER}/keyword_spotting_alexa-quantization.png",
        }
        assert all(after.read(name) == data for name, data in members.items())


def test_an_archive_without_a_float32_model(shared_dir: Path) -> None:
    with pytest.raises(ModelError, match=r"no float32 \.tflite.*mltk quantize tflite_micro_speech"):
        quantization_report(shared_dir / "models" / "tflite_micro_speech.mltk.zip")


def test_the_report_needs_no_tensorflow(tmp_path: Path) -> None:
    path = write_pair(tmp_path)
    code = (
        "import sys, numpy as np; from mltk.evaluation.quantization import quantization_report as report;"
        f"report({str(path)!r}, samples=np.ones((2, 4), np.float32));"
        "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    environment = {**os.environ, "MLTK_CACHE_DIR": str(tmp_path / "cache")}
    assert subprocess.run([sys.executable, "-c", code], check=False, env=environment).returncode == 0
