"""The printed summary: cell by cell the tables of the seeds, and the operators that seed 1 shows."""

import re
import zipfile
from collections.abc import Sequence
from pathlib import Path

import ai_edge_litert.schema_py_generated as schema
import pytest
from tflite_models import FLOAT32, INT16, INT32, Builder, tiny_keyword_model

from mltk.tflite.cost import count_ops
from mltk.tflite.layers import TfliteTensor
from mltk.tflite.model import TfliteModel
from mltk.tflite.summary import file_size, grid, with_unit


def archived(shared_dir: Path, name: str) -> TfliteModel:
    with zipfile.ZipFile(shared_dir / "models" / f"{name}.mltk.zip") as archive:
        return TfliteModel(archive.read(f"{name}.tflite"))


def cells(text: str) -> list[list[str]]:
    """Return the rows of the first table in a text, without its borders."""
    rows = []
    for line in text.splitlines():
        if line.strip().startswith("|"):
            rows.append([cell.strip() for cell in line.strip().strip("|").split("|")])
        elif rows and not line.strip().startswith("+"):
            break
    return rows


def lines_of(text: str, *starts: str) -> list[str]:
    """Return the first line that begins with each of `starts`."""
    return [
        next(line.strip() for line in text.splitlines() if line.strip().startswith(start)) for start in starts
    ]


def test_alexa_is_the_table_of_seed_2(shared_dir: Path) -> None:
    seed = (shared_dir / "seeds" / "2-keyword-spotting-alexa.txt").read_text()
    summary = archived(shared_dir, "keyword_spotting_alexa").summary()
    seed_table = seed[seed.index("+---") : seed.index("Total MACs")].splitlines()
    assert [line.rstrip() for line in seed_table] == summary[: summary.index("Total MACs")].splitlines()
    assert len([row for row in cells(summary) if row[0].isdigit()]) == 56
    starts = (
        "Total MACs: ",
        "Total OPs: ",
        "Classes: ",
        "Runtime memory size (RAM): ",
        "fe.sample_length_ms: ",
    )
    assert lines_of(summary, *starts) == [
        "Total MACs: 4.562 M",
        "Total OPs: 9.247 M",
        "Classes: alexa, _unknown_",
        "Runtime memory size (RAM): 54.344 k",
        "fe.sample_length_ms: 1200",
    ]
    assert lines_of(seed, *starts) == lines_of(summary, *starts)
    # The order of the lines after the table, without the values.
    order = [line.split(":")[0] for line in summary[summary.index("Total MACs") :].splitlines()]
    start = seed.index("Total MACs")
    assert order == [
        line.split(":")[0] for line in seed[start : seed.index("Model Profiling", start)].split("\n") if line
    ]


def test_micro_speech_is_the_table_of_seed_3(shared_dir: Path) -> None:
    seed = cells((shared_dir / "seeds" / "3-tflite-micro-speech.txt").read_text())
    summary = archived(shared_dir, "tflite_micro_speech").summary()
    newer = {"BuiltinOptionsType=0": "Type=none", "BuiltinOptionsType=9": "Type=softmaxoptions"}
    expected = [
        [
            newer.get(cell, re.sub(r"(?<=:)(same|none|relu)", lambda found: found[0].capitalize(), cell))
            for cell in row
        ]
        for row in seed
    ]
    assert cells(summary) == expected
    assert lines_of(summary, "Total MACs", "Total OPs", "Name", "Version", "Description", ".tflite") == [
        "Total MACs: 336.000 k",
        "Total OPs: 680.012 k",
        "Name: tflite_micro_speech",
        "Version: 1",
        "Description: TFLite-Micro speech",
        ".tflite file size: 21.6kB",
    ]


def test_the_archived_summary_differs_in_nothing_but_the_build(shared_dir: Path) -> None:
    with zipfile.ZipFile(shared_dir / "models" / "keyword_spotting_alexa.mltk.zip") as archive:
        published = archive.read("keyword_spotting_alexa.tflite.summary.txt").decode().splitlines()
    ours = archived(shared_dir, "keyword_spotting_alexa").summary().splitlines()
    assert len(ours) == len(published)
    different = {a.split(":")[0] for a, b in zip(ours, published, strict=True) if a != b}
    assert different == {"Version", "Description", "hash", "date", ".tflite file size"}


def test_the_operators_of_seed_1() -> None:
    build = Builder()
    source = build.tensor((1, 7, 40), FLOAT32)
    quantized = build.tensor((1, 7, 40), scale=0.1)
    matrices = [build.tensor((40, 40), scale=0.1, data=[[1] * 40] * 40) for _ in range(8)]
    biases = [build.tensor((40,), INT32, scale=0.01, data=[0] * 40) for _ in range(4)]
    hidden, cell = build.tensor((1, 40), scale=0.1), build.tensor((1, 40), INT16, scale=0.1)
    recurrent = build.tensor((1, 7, 40), scale=0.1)
    inputs = [quantized, *matrices, -1, -1, -1, *biases, -1, -1, hidden, cell]
    build.operator(114, [source], [quantized], schema.QuantizeOptionsT())
    build.graph.operators[0].builtinOptionsType = 0
    build.operator(
        44,
        inputs,
        [recurrent],
        schema.UnidirectionalSequenceLSTMOptionsT(fusedActivationFunction=4, cellClip=10.0, timeMajor=False),
    )
    axes, mean = build.tensor((3,), INT32, data=[1, 2, 2]), build.tensor((7,), scale=0.1)
    build.operator(40, [recurrent, axes], [mean], schema.ReducerOptionsT())
    scalar = build.tensor((), scale=0.1, data=[1])
    build.operator(0, [mean, scalar], [build.tensor((7,), scale=0.1)], schema.AddOptionsT())
    build.operator(41, [mean, mean], [build.tensor((7,), scale=0.1)], schema.SubOptionsT())
    build.operator(
        18, [mean, mean], [build.tensor((7,), scale=0.1)], schema.MulOptionsT(fusedActivationFunction=3)
    )
    build.operator(45, [recurrent, axes, axes, axes], [mean], schema.StridedSliceOptionsT())
    pooled = schema.Pool2DOptionsT(padding=1, strideW=1, strideH=15, filterWidth=1, filterHeight=15)
    build.operator(17, [recurrent], [mean], pooled)
    build.operator(32, [source], [mean], None)
    build.model.operatorCodes[-1].customCode = "MyOp"
    rows = [row for row in cells(TfliteModel(build.pack([source], [mean])).summary()) if row[0].isdigit()]
    assert [(row[1], row[4]) for row in rows] == [
        ("quantize", "Type=none"),
        ("unidirectional_sequence_lstm", "Time major:False, Activation:Tanh, Cell clip:10.0"),
        ("mean", "Type=reduceroptions"),
        ("add", "Activation:None"),
        ("sub", "Type=suboptions"),
        ("mul", "Activation:Relu6"),
        ("strided_slice", "Type=stridedsliceoptions"),
        ("max_pool_2d", "Padding:Valid stride:1x15 filter:1x15 activation:None"),
        ("myop", "Type=none"),
    ]
    table = cells(TfliteModel(build.pack([source], [mean])).summary())
    assert [row[2] for row in table[2:17]] == [
        "7x40 (int8)",
        *["40 (int8)"] * 8,
        *["40 (int32)"] * 4,
        "40 (int8)",
        "40 (int16)",
    ]
    # A scalar has no shape to print, as in row 75 of the seed.
    assert ["", "", "(int8)", "", ""] in table
    # The eight matrices of an LSTM in each of seven steps.
    model = TfliteModel(build.pack([source], [mean]))
    assert model.layers[1].macs == 7 * 8 * 40 * 40


def tensor(*shape: int) -> TfliteTensor:
    return TfliteTensor(0, "", shape, shape, "int8", (), (), 0, 0, False)


# Layers of models whose totals the reference published: (operator, inputs, output, filter).
Layer = tuple[str, Sequence[tuple[int, ...]], tuple[int, ...], int]
_DENSE = [(140, 32), (32, 16), (16, 8), (8, 16), (16, 32), (32, 140)]
PUBLISHED: dict[str, tuple[list[Layer], str]] = {
    "autoencoder": (
        [
            ("quantize", [(1, 140)], (1, 140), 0),
            *[("fully_connected", [(1, k), (n, k), (n,)], (1, n), 0) for k, n in _DENSE],
            ("logistic", [(1, 140)], (1, 140), 0),
            ("dequantize", [(1, 140)], (1, 140), 0),
        ],
        "21.564 k",
    ),
    "hand gestures": (
        [
            ("quantize", [(1, 96, 96, 1)], (1, 96, 96, 1), 0),
            ("conv_2d", [(1, 96, 96, 1), (24, 3, 3, 1), (24,)], (1, 48, 48, 24), 0),
            ("average_pool_2d", [(1, 48, 48, 24)], (1, 24, 24, 24), 2),
            ("conv_2d", [(1, 24, 24, 24), (16, 3, 3, 24), (16,)], (1, 11, 11, 16), 0),
            ("conv_2d", [(1, 11, 11, 16), (24, 3, 3, 16), (24,)], (1, 9, 9, 24), 0),
            ("average_pool_2d", [(1, 9, 9, 24)], (1, 4, 4, 24), 2),
            ("reshape", [(1, 4, 4, 24), (2,)], (1, 384), 0),
            ("fully_connected", [(1, 384), (3, 384), (3,)], (1, 3), 0),
            ("softmax", [(1, 3)], (1, 3), 0),
            ("dequantize", [(1, 3)], (1, 3), 0),
        ],
        "2.561 M",
    ),
    "directions": (
        [
            ("depthwise_conv_2d", [(1, 59, 49, 1), (1, 7, 7, 8), (8,)], (1, 30, 25, 8), 0),
            ("conv_2d", [(1, 30, 25, 8), (24, 3, 3, 8), (24,)], (1, 14, 12, 24), 0),
            ("max_pool_2d", [(1, 14, 12, 24)], (1, 7, 6, 24), 2),
            ("conv_2d", [(1, 7, 6, 24), (20, 3, 3, 24), (20,)], (1, 5, 4, 20), 0),
            ("max_pool_2d", [(1, 5, 4, 20)], (1, 2, 2, 20), 2),
            ("reshape", [(1, 2, 2, 20), (2,)], (1, 80), 0),
            ("fully_connected", [(1, 80), (6, 80), (6,)], (1, 6), 0),
            ("softmax", [(1, 6)], (1, 6), 0),
        ],
        "1.357 M",
    ),
}


@pytest.mark.parametrize(("layers", "total"), PUBLISHED.values(), ids=PUBLISHED)
def test_operations_add_up_to_the_published_totals(layers: list[Layer], total: str) -> None:
    ops = 0
    for name, inputs, output, size in layers:
        options = {"filter_width": size, "filter_height": size}
        ops += count_ops(name, tuple(tensor(*shape) for shape in inputs), (tensor(*output),), options)
    assert with_unit(ops) == total


def test_a_model_without_parameters_has_a_short_summary() -> None:
    tail = TfliteModel(tiny_keyword_model()).summary().splitlines()[-4:]
    assert tail[:3] == ["Total MACs: 108", "Total OPs: 249", "Description: made by hand"]
    assert re.fullmatch(r"\.tflite file size: \d\.\dkB", tail[3])


def test_numbers() -> None:
    assert [with_unit(value) for value in (0, 999, 1000, 54344, 4561728, 2.5e9)] == [
        "0",
        "999",
        "1.000 k",
        "54.344 k",
        "4.562 M",
        "2.500 G",
    ]
    assert [file_size(value) for value in (21616, 999_949, 1_250_000)] == ["21.6kB", "999.9kB", "1.2MB"]


def test_grid() -> None:
    assert grid(["a", "long"], [("1\n2", "x"), ("", "yy")]).splitlines() == [
        "+---+------+",
        "| a | long |",
        "+---+------+",
        "| 1 | x    |",
        "| 2 |      |",
        "|   | yy   |",
        "+---+------+",
    ]
    assert grid(["a"], []).count("\n") == 3
