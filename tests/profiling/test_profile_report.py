"""Profiles on the MVP beside the seeds' tables, their form, their files, and what the command answers to mistakes."""

import dataclasses
import json
import os
import re
import subprocess
import sys

import pytest

from mltk.cli.main import main
from mltk.profiling.numbers import plain, with_prefix
from mltk.profiling.profile import LayerProfile, ProfilingResults, _notes, _results, profile_model
from mltk.profiling.write import NUMBERS, PICTURE, REPORT, draw, write_report
from mltk.tflite.model import TfliteModel
from mltk.utils.errors import MltkError

ALEXA, MICRO = "keyword_spotting_alexa.mltk.zip", "tflite_micro_speech.mltk.zip"
SUMMARY = [
    "Name",
    "Accelerator",
    "Input Shape",
    "Input Data Type",
    "Output Shape",
    "Output Data Type",
    "Flash, Model File Size (bytes)",
    "RAM, Runtime Memory Size (bytes)",
    "Operation Count",
    "Multiply-Accumulate Count",
    "Layer Count",
    "Unsupported Layer Count",
    "Accelerator Cycle Count",
    "CPU Cycle Count",
    "CPU Utilization (%)",
    "Clock Rate (hz)",
    "Time (s)",
    "Ops/s",
    "MACs/s",
    "Inference/s",
]
COLUMNS = ["Index", "OpCode", "# Ops", "# MACs", "Acc Cycles", "CPU Cycles", "Time (s)"]
COLUMNS += ["Input Shape", "Output Shape", "Options"]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def number(text: str) -> float:
    return float(re.sub(r"[GMkmun]", lambda m: {"k": "e3", "M": "e6", "m": "e-3", "u": "e-6"}[m[0]], text))


def seed_table(text: str, start: str) -> tuple[dict[str, str], list[dict[str, str]]]:
    """Return a seed's published summary and rows."""
    lines = [line.strip() for line in text[text.index(start) :].splitlines()]
    summary = dict(line.split(": ", 1) for line in lines[: lines.index("Model Layers")] if ": " in line)
    table = [cells(line) for line in lines if line.startswith("|")]
    end = next((i for i, row in enumerate(table) if len(row) != len(table[0])), len(table))
    return summary, [dict(zip(table[0], row, strict=True)) for row in table[1:end]]


@pytest.mark.parametrize(
    ("model", "seed", "unsupported"),
    [(MICRO, "3-tflite-micro-speech.txt", 1), (ALEXA, "2-keyword-spotting-alexa.txt", 0)],
)
def test_the_seeds_tables(shared_dir, model, seed, unsupported):
    text = (shared_dir / "seeds" / seed).read_text("utf-8")
    summary, rows = seed_table(text, "Profiling Summary")
    results = profile_model(shared_dir / "models" / model, accelerator="mvp")
    ours, our_rows = seed_table(str(results), "Profiling Summary")
    assert list(ours) == SUMMARY == list(summary)
    known = SUMMARY[:6] + SUMMARY[8:12] + ["Clock Rate (hz)"]
    assert [ours[key] for key in known] == [summary[key] for key in known]
    for key in (
        "Accelerator Cycle Count",
        "CPU Cycle Count",
        "CPU Utilization (%)",
        "Time (s)",
        "Inference/s",
    ):
        assert number(ours[key]) == pytest.approx(number(summary[key]), rel=0.04), key
    assert results.n_unsupported == unsupported
    assert [list(row) for row in our_rows] == [list(row) for row in rows]
    exact = {*COLUMNS, "Supported?", "Error Msg"} - {"Acc Cycles", "CPU Cycles", "Time (s)", "Options"}
    for row, seed_row in zip(our_rows, rows, strict=True):
        assert {k: v for k, v in row.items() if k in exact} == {
            k: v for k, v in seed_row.items() if k in exact
        }
        assert row["Options"].lower() == seed_row["Options"].lower()
        assert number(row["Acc Cycles"]) == pytest.approx(number(seed_row["Acc Cycles"]), rel=0.04, abs=60)


def test_micro_speech_dense_layer_is_too_deep(shared_dir):
    layer = profile_model(shared_dir / "models" / MICRO, accelerator="MVP").layers[2]
    assert (layer.is_supported, layer.error) == (False, "weights_shape[1] (4000) > 2048")
    assert layer.acc_cycles == pytest.approx(24_100, abs=50)  # measured: it runs, in pieces


def test_json_has_every_figure(shared_dir):
    results = profile_model(shared_dir / "models" / MICRO, accelerator="MVP")
    found = json.loads(results.to_json())
    assert found == json.loads(json.dumps(results.to_dict()))
    assert set(found) == {
        *("name", "accelerator", "input_shapes", "input_dtypes", "output_shapes", "output_dtypes"),
        *(
            "flash_size",
            "ram_size",
            "ops",
            "macs",
            "clock_hz",
            "energy_j",
            "notes",
            "n_layers",
            "n_unsupported",
        ),
        *("acc_cycles", "cpu_cycles", "cpu_utilization", "time_s", "ops_per_s", "macs_per_s"),
        *("inferences_per_s", "layers", "device"),
    }
    for key in ("acc_cycles", "cpu_cycles"):
        assert found[key] == sum(layer[key] for layer in found["layers"])
    assert found["time_s"] == pytest.approx(sum(layer["time_s"] for layer in found["layers"]))
    assert found["ops"] == sum(layer["ops"] for layer in found["layers"])
    assert found["energy_j"] is None


def test_no_format_prints_whole_numbers(shared_dir, capsys, monkeypatch):
    path = str(shared_dir / "models" / MICRO)
    monkeypatch.setattr(sys, "argv", ["mltk", "profile", path, "--accelerator", "mVp", "--no-format"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert not stop.value.code
    summary, rows = seed_table(capsys.readouterr().out, "Profiling Summary")
    assert (summary["Operation Count"], summary["Clock Rate (hz)"]) == ("684024", "78000000")
    results = profile_model(path, accelerator="MVP")
    assert [int(row["Acc Cycles"]) for row in rows] == [layer.acc_cycles for layer in results.layers]
    assert float(rows[0]["Time (s)"]) == pytest.approx(results.layers[0].time_s, rel=1e-5)


def test_estimates_without_an_accelerator(shared_dir):
    path = shared_dir / "models" / "keyword_spotting_on_off.tflite"
    results = profile_model(path, estimates=True)
    text = str(results)
    assert "Acc Cycles" not in text
    assert "factor of two" in text
    assert "Energy is unknown" in text
    # Counted in an emulator: 1.04 M instructions on a Cortex-M33 with CMSIS-NN.
    assert 1.04e6 / 2 < results.cpu_cycles < 1.04e6 * 2
    assert results.cpu_utilization <= 100
    assert results.cpu_cycles > profile_model(path, accelerator="MVP").cpu_cycles


def test_files_all_or_none(shared_dir, tmp_path):
    results = profile_model(shared_dir / "models" / ALEXA, accelerator="MVP")
    folder = tmp_path / "new" / "report"
    assert [path.name for path in write_report(results, folder)] == [REPORT, NUMBERS, PICTURE]
    assert (folder / REPORT).read_text("utf-8").rstrip("\n") == str(results)
    assert json.loads((folder / NUMBERS).read_text("utf-8")) == results.to_dict()
    assert (folder / PICTURE).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    before = (folder / REPORT).read_bytes()
    (folder / PICTURE).unlink()
    (folder / PICTURE).mkdir()  # can not be replaced: no other file may change either
    (folder / PICTURE / "x").write_text("x")
    with pytest.raises(MltkError, match=re.escape(PICTURE)):
        write_report(profile_model(shared_dir / "models" / MICRO), folder)
    assert (folder / REPORT).read_bytes() == before
    assert sorted(path.name for path in folder.iterdir()) == sorted([REPORT, NUMBERS, PICTURE])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--accelerator", "npu"], "There is no accelerator 'npu': there is MVP"),
        (["--device", "cortex-m5"], "There is no target 'cortex-m5', did you mean"),
    ],
)
def test_mistakes_are_one_sentence(shared_dir, capsys, monkeypatch, arguments, sentence):
    path = str(shared_dir / "models" / MICRO)
    monkeypatch.setattr(sys, "argv", ["mltk", "profile", path, *arguments])
    with pytest.raises(SystemExit) as stop:
        main()
    captured = capsys.readouterr()
    assert (stop.value.code, captured.out) == (2, "")
    assert sentence in captured.err
    assert len(captured.err.splitlines()) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="no CPU times of children there")
@pytest.mark.parametrize(
    "arguments", [["profile", "-a", "MVP"], ["summarize", "--tflite"], ["profile", "--estimates"]]
)
def test_light_and_fast(shared_dir, arguments):
    """The processor's time, so that a busy machine does not count; the wall time is for the benchmark."""
    code = "import sys\nfrom mltk.cli.main import main\ntry:\n    main()\nfinally:\n"
    code += "    print('LOADED', *sys.modules, file=sys.stderr)"
    command = [sys.executable, "-c", code, arguments[0], str(shared_dir / "models" / ALEXA), *arguments[1:]]
    before = os.times()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    loaded = {name.split(".")[0] for name in done.stderr.split("LOADED ")[1].split()}
    assert "mltk" in loaded
    assert not loaded & {"tensorflow", "keras", "scipy", "sklearn", "matplotlib"}
    assert spent < 1.5


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((0, "0"), (0.0, "0"), (20, "20.0"), (999.94, "999.9"), (999.96, "1.0k"), (999_960, "1.0M")),
        *((404_600, "404.6k"), (112.3e6, "112.3M"), (0.0061, "6.1m"), (0.00036, "360.0u"), (164.2, "164.2")),
        *((2.5e9, "2.5G"), (3e-8, "30.0n"), (3e-12, "3.0e-12")),
    ],
)
def test_prefixes(value, text):
    assert with_prefix(value) == text


def test_a_float_model(shared_dir):
    """A Keras model converted without quantization: each layer that the MVP would run is refused with the reason."""
    path = shared_dir / "models" / "keyword_spotting_on_off.tflite"
    data = path.read_bytes()
    tflite = TfliteModel(data)
    layers = [
        dataclasses.replace(
            layer,
            inputs=tuple(t and dataclasses.replace(t, type_name="float32") for t in layer.inputs),
        )
        for layer in tflite.layers
    ]
    tflite.__dict__["layers"] = layers
    results = _results(tflite, "float", "MVP", estimates=False)
    refused = {layer.name: layer.error for layer in results.layers if not layer.is_supported}
    assert set(refused) == {"conv_2d", "max_pool_2d", "fully_connected"}
    assert set(refused.values()) == {"input type (float32) is not int8"}
    assert results.acc_cycles == 0
    assert "conv_2d, fully_connected, max_pool_2d" in str(results).splitlines()[-1]


def test_a_graph_in_an_operator_is_told():
    layers = [LayerProfile(0, "while", 0, 0, [], [], "", 0, 600, 1e-5, True, "", "assumed")]
    assert "Not counted" in _notes(layers, "MVP", False)[0]


def test_a_graph_without_operators():
    for accelerator, clock_hz in ((None, None), ("MVP", 78_000_000)):
        shapes = (["1x4"], ["int8"], ["1x4"], ["int8"])
        empty = ProfilingResults("m", accelerator, *shapes, 100, None, 0, 0, clock_hz, None, [], [])
        assert ("Cycle" in str(empty).split("Model Layers")[0]) == (accelerator is not None)
        assert "Inference/s" not in str(empty)
        assert json.loads(empty.to_json())["inferences_per_s"] is None
        assert draw(empty)[:4] == b"\x89PNG"


def test_plain_numbers():
    assert [plain(684024), plain(0), plain(0.00613778), plain(0.0)] == ["684024", "0", "0.00613778", "0"]
