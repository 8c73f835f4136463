"""Profiles: figures of the published pages, readable and as JSON."""

import json

import pytest

from mltk.models.archive import ModelArchive
from mltk.profiling.profile import profile_model
from mltk.utils.errors import ModelError, TfliteError


def test_micro_speech(shared_dir):
    results = profile_model(shared_dir / "models" / "tflite_micro_speech.mltk.zip")
    assert results.name == "tflite_micro_speech"
    assert (results.input_shapes, results.input_dtypes) == (["1x49x40x1"], ["int8"])
    assert (results.output_shapes, results.output_dtypes) == (["1x4"], ["int8"])
    assert results.flash_size == 21616
    assert results.ram_size == 9032
    assert (results.macs, results.ops) == (336_000, 684_024)
    assert [layer.name for layer in results.layers] == ["conv_2d", "reshape", "fully_connected", "softmax"]
    assert [layer.macs for layer in results.layers] == [320_000, 0, 16_000, 0]
    assert results.layers[0].input_shapes == ["1x49x40x1", "8x10x8x1", "8"]
    assert sum(layer.ops for layer in results.layers) == results.ops


def test_alexa_report(shared_dir):
    text = str(profile_model(shared_dir / "models" / "keyword_spotting_alexa.mltk.zip"))
    for line in (
        "Name: keyword_spotting_alexa",
        "Input Shape: 1x118x1x108",
        "Output Shape: 1x2",
        "Multiply-Accumulate Count: 4.6M",
        "Operation Count: 9.4M",
        "RAM, Runtime Memory Size (bytes): 54.3k",
        "Layer Count: 56",
    ):
        assert line in text.splitlines()
    rows = [line for line in text.splitlines() if line.startswith("| ") and line.split()[1].isdigit()]
    assert len(rows) == 56
    assert "1x118x1x108,32x3x1x108,32" in rows[0]


def test_json(shared_dir):
    results = profile_model(shared_dir / "models" / "keyword_spotting_on_off.tflite")
    assert json.loads(results.to_json()) == json.loads(json.dumps(results.to_dict()))
    assert results.to_dict()["layers"][0]["name"] == "conv_2d"


def test_nothing_is_invented(shared_dir):
    path = shared_dir / "models" / "tflite_micro_speech.mltk.zip"
    results = profile_model(path)
    assert not any(word in str(results).lower() for word in ("cycle", "time (s)", "inference/s", "supported"))
    assert (results.acc_cycles, results.cpu_cycles, results.time_s, results.energy_j) == (None,) * 4
    with pytest.raises(ModelError, match="There is no accelerator 'MVQ': there is MVP"):
        profile_model(path, accelerator="MVQ")


def test_bad_models(tmp_path):
    ModelArchive.create(tmp_path / "m.mltk.zip", {"m.py": b"", "m.tflite": b"TFL3" * 10})
    with pytest.raises(TfliteError):
        profile_model(tmp_path / "m.mltk.zip")
    with pytest.raises(ModelError, match="There is no model"):
        profile_model(tmp_path / "none.tflite")
