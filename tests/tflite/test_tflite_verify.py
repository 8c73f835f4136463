"""Damaged and contradictory .tflite files are one kind of error, and no interpreter gets to see them."""

import inspect
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ai_edge_litert.schema_py_generated as schema
import numpy as np
import pytest
from tflite_models import Builder, pack, tiny_keyword_model, unpack

from mltk.tflite.layout import TABLES, UNIONS
from mltk.tflite.model import TfliteModel
from mltk.utils.errors import TfliteError

_SIZES = {
    "Bool": 1,
    "Int8": 1,
    "Uint8": 1,
    "Int16": 2,
    "Uint16": 2,
    "Int32": 4,
    "Uint32": 4,
    "Float32": 4,
    "Int64": 8,
    "Uint64": 8,
}


_SOURCE = inspect.getsource(schema)


def _fields_of(table: str) -> dict[int, str]:
    """Return slot -> form of a table, from the code of the installed schema package."""
    start = _SOURCE.index(f"class {table}(object)")
    # A table's functions stand behind its class and before its object API.
    source = _SOURCE[start : _SOURCE.index(f"class {table}T(object)", start)]
    body = source
    forms = {}
    for name, kind, slot in re.findall(
        rf"def {table}Add(\w+)\(builder[^\n]*\n\s+builder\.Prepend(\w+?)Slot\((\d+),", source
    ):
        vector = re.search(
            rf"def {table}Start{name}Vector\([^\n]*\n\s+return builder\.StartVector\((\d)", source
        )
        getter = re.search(rf"def {name}\(self(?:, j)?\):.*?(?=\n    # |\Z)", body, re.DOTALL)
        text = getter[0] if getter else ""
        if kind in _SIZES:
            forms[int(slot)] = str(_SIZES[kind])
        elif vector:
            forms[int(slot)] = "V" if "Indirect" in text else f"v{vector[1]}"
        elif "_tab.String" in text:
            forms[int(slot)] = "s"
        else:
            forms[int(slot)] = "u" if "bytearray()" in text else "t"
    return forms


def _table_names() -> dict[str, str]:
    members = {
        f"{union}.{number}": (name, UNIONS[union][number])
        for union in ("BuiltinOptions", "QuantizationDetails", "SparseIndexVector")
        for name, number in vars(getattr(schema, union)).items()
        if isinstance(number, int) and number in UNIONS[union]
    }
    return {**TABLES, **dict(members.values())}


@pytest.mark.parametrize(("table", "layout"), _table_names().items())
def test_the_layout_is_that_of_the_schema(table: str, layout: str) -> None:
    expected = _fields_of(table)
    ours = dict(enumerate(layout.split()))
    # What a newer schema adds behind the fields of our page is not read by anybody here.
    assert set(expected) - set(ours) <= {slot for slot in expected if slot >= len(ours)}
    for slot, form in ours.items():
        if form == "none":
            assert expected[slot] == "V"
        elif form != "-":
            assert form.split(":")[0] == expected[slot], f"{table} slot {slot}"


def test_every_option_of_the_schema_is_known() -> None:
    numbers = {number for number in vars(schema.BuiltinOptions).values() if isinstance(number, int)}
    assert numbers - {0} <= set(UNIONS["BuiltinOptions"])


def test_the_hand_made_model_is_whole() -> None:
    model = TfliteModel(tiny_keyword_model())
    assert [layer.name for layer in model.layers] == ["conv_2d", "reshape", "fully_connected", "softmax"]


@pytest.mark.parametrize(
    "data", [b"", b"TFL3", b"\0" * 64, b"\x18\0\0\0TFL3", b"PK\x03\x04" + b"\0" * 60, b"\xff" * 100]
)
def test_what_is_no_tflite_is_said(data: bytes) -> None:
    with pytest.raises(TfliteError, match=r"is not a whole \.tflite file"):
        TfliteModel(data, path="x.tflite")


def test_every_truncation_is_an_error() -> None:
    data = tiny_keyword_model()
    for length in range(len(data)):
        with pytest.raises(TfliteError):
            TfliteModel(data[:length]).summary()


def _set(index: int, **values: Any) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        for name, value in values.items():
            setattr(model.subgraphs[0].tensors[index], name, value)

    return change


def _operator(index: int, **values: Any) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        for name, value in values.items():
            setattr(model.subgraphs[0].operators[index], name, value)

    return change


def _model(path: str, value: Any) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        target = model
        *steps, last = path.split(".")
        for step in steps:
            target = target[int(step)] if step.isdigit() else getattr(target, step)
        setattr(target, last, value)

    return change


# Tensors: 0 input, 1 weights, 2 bias, 3 hidden, 4 shape, 5 flat, 6 dense, 7 bias, 8 logits, 9 output.
CONTRADICTIONS = {
    "weights shorter than their shape": (_set(1, shape=[2, 3, 2, 2]), "needs 24 bytes and has 12"),
    "a shape below zero": (_set(3, shape=[1, -3, 2, 2], shapeSignature=None), "impossible shape"),
    "a shape beyond all memory": (_set(3, shape=[1, 2**20, 2**20, 2], shapeSignature=None), "MB"),
    "nine dimensions": (_set(3, shape=[1] * 9, shapeSignature=None), "impossible shape"),
    "a signature of another rank": (_set(0, shapeSignature=[-1, 5]), "shape signature"),
    "a buffer that is not there": (_set(3, buffer=77), "buffer 77"),
    "an unknown type": (_set(3, type=99), "unknown type 99"),
    "too many scales": (_model("subgraphs.0.tensors.1.quantization.scale", [0.1] * 5), "scales"),
    "a scale that is no number": (
        _model("subgraphs.0.tensors.3.quantization.scale", [float("nan")]),
        "not a number",
    ),
    "a channel axis that is not there": (
        _model("subgraphs.0.tensors.1.quantization.quantizedDimension", 7),
        "dimension 7",
    ),
    "a zero point outside int8": (
        _model("subgraphs.0.tensors.3.quantization.zeroPoint", [300]),
        "zero point",
    ),
    "an operator's input that is not there": (_operator(0, inputs=[0, 1, 50]), "tensor 50 of 10"),
    "an operator's input below -1": (_operator(0, inputs=[0, 1, -2]), "tensor -2"),
    "an operator's output that is not there": (_operator(0, outputs=[-1]), "tensor -1"),
    "an operator code that is not there": (_operator(0, opcodeIndex=9), "operator code 9"),
    "a graph input that is not there": (_model("subgraphs.0.inputs", [10]), "tensor 10 of 10"),
    "no graph output": (_model("subgraphs.0.outputs", []), "no output"),
    "no graph": (_model("subgraphs", []), "no graph"),
    "another schema": (_model("version", 2), "version 2"),
    "data outside the file": (_model("buffers.1.offset", 4096), "outside the file"),
    "a metadata entry without buffer": (
        _model("metadata", [schema.MetadataT(name="x", buffer=50)]),
        "buffer 50",
    ),
}


@pytest.mark.parametrize(("change", "reason"), CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_contradictions_are_named(change: Callable[[Any], None], reason: str) -> None:
    model = unpack(tiny_keyword_model())
    change(model)
    with pytest.raises(TfliteError, match=re.escape(reason)):
        TfliteModel(pack(model))


NOT_RUNNABLE = {
    "an input read before it is computed": (_operator(0, inputs=[8, 1, 2]), "before it is computed"),
    "weights written over": (_operator(3, outputs=[1]), "writes over"),
    "a required input left out": (_operator(1, inputs=[3, -1]), "lacks the input 1"),
    "an output that nobody computes": (_model("subgraphs.0.operators", []), "never computed"),
    "a constant as the input": (_model("subgraphs.0.inputs", [1]), "constant or a variable"),
}


@pytest.mark.parametrize(("change", "reason"), NOT_RUNNABLE.values(), ids=NOT_RUNNABLE)
def test_what_can_not_be_run_can_be_described(change: Callable[[Any], None], reason: str) -> None:
    model = unpack(tiny_keyword_model())
    change(model)
    described = TfliteModel(pack(model))
    assert described.summary()
    with pytest.raises(TfliteError, match=reason):
        described.predict(np.zeros(described.inputs[0].shape[1:], np.int8))


def test_a_model_that_crashes_litert_is_an_error() -> None:
    # An int8 depthwise convolution without a bias: XNNPACK reads the bias all the same.
    build = Builder()
    source = build.tensor((1, 4, 4, 2), scale=1.0)
    weights = build.tensor((1, 3, 3, 2), scale=[0.1, 0.1], axis=3, data=np.ones((1, 3, 3, 2)))
    output = build.tensor((1, 4, 4, 2), scale=1.0)
    build.operator(
        4,
        [source, weights],
        [output],
        schema.DepthwiseConv2DOptionsT(
            strideW=1, strideH=1, depthMultiplier=1, dilationWFactor=1, dilationHFactor=1
        ),
        version=3,
    )
    model = TfliteModel(build.pack([source], [output]), path="hostile.tflite")
    with pytest.raises(TfliteError, match=r"hostile\.tflite crashes the interpreter"):
        model.predict(np.zeros((4, 4, 2), np.int8))


WORKER = """
import sys, random
import numpy as np
from mltk.tflite.model import TfliteModel
from mltk.utils.errors import TfliteError

path, first, last = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
base = open(path, "rb").read()
ran = refused = 0
for case in range(first, last):
    print("CASE", case, flush=True)
    rng = random.Random(case)
    data = bytearray(base)
    if rng.random() < 0.1:
        del data[rng.randrange(len(data)):]
    for _ in range(rng.choice([1, 1, 2, 4, 16])):
        position = rng.randrange(len(data)) if data else 0
        if rng.random() < 0.5:
            data[position:position + 1] = bytes([rng.randrange(256)])
        else:
            value = rng.choice([0, 1, -1, 2, 127, 128, 255, 65536, 2**24, 2**31 - 1, -2**31])
            data[position:position + 4] = value.to_bytes(4, "little", signed=True)
    try:
        model = TfliteModel(bytes(data[:len(base)]))
        model.summary()
        model.predict(np.zeros(model.inputs[0].shape[1:], model.inputs[0].dtype))
        ran += 1
    except TfliteError:
        refused += 1
print("DONE", ran, refused)
"""


def _mutate(path: Path, first: int, last: int) -> tuple[int, int]:
    """Load, describe and run damaged copies in another process, to see a crash; return (ran, refused)."""
    process = subprocess.run(
        [sys.executable, "-c", WORKER, str(path), str(first), str(last)],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = process.stdout.splitlines()
    assert process.returncode == 0, f"exit {process.returncode} at {lines[-1:]}: {process.stderr[-500:]}"
    _, ran, refused = lines[-1].split()
    return int(ran), int(refused)


def test_mutations_of_the_hand_made_model_never_crash(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(tiny_keyword_model())
    ran, refused = _mutate(path, 0, 400)
    assert ran > 10
    assert refused > 100


@pytest.mark.parametrize(
    ("first", "last"),
    [(0, 1000), pytest.param(1000, 8000, marks=pytest.mark.slow)],
    ids=["quick", "thorough"],
)
def test_mutations_of_micro_speech_never_crash(
    shared_dir: Path, tmp_path: Path, first: int, last: int
) -> None:
    path = tmp_path / "model.tflite"
    with zipfile.ZipFile(shared_dir / "models" / "tflite_micro_speech.mltk.zip") as archive:
        path.write_bytes(archive.read("tflite_micro_speech.tflite"))
    ran, refused = _mutate(path, first, last)
    assert ran > 100
    assert refused > 100
