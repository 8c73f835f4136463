"""What can not be compiled is refused with the list of layers, before anything is written."""

import sys

import pytest
from kernels_cases import FLOAT32, INT32, Builder, schema
from kernels_graphs import ADD, MEAN, RSQRT, SOFTMAX, SPLIT, STRIDED_SLICE, TRANSPOSE
from kernels_models import everything

from mltk.cli.main import main
from mltk.firmware.compile import compile_model
from mltk.tflite.model import TfliteModel
from mltk.tflite.plan.engine import NativeModel
from mltk.utils.errors import TfliteError

FLOOR, LEAKY_RELU, BATCH_MATMUL = 8, 98, 126


def test_compile_lists_every_unsupported_layer(tmp_path, monkeypatch, capfd):
    build = Builder()
    tensors = [build.tensor((1, 4), scale=0.1) for _ in range(4)]
    build.operator(LEAKY_RELU, tensors[:1], tensors[1:2], schema.LeakyReluOptionsT(alpha=0.1), 2)
    build.operator(ADD, tensors[:2], tensors[2:3], schema.AddOptionsT())
    build.operator(FLOOR, tensors[2:3], tensors[3:4])
    (tmp_path / "words.tflite").write_bytes(build.pack(tensors[:1], tensors[3:]))
    monkeypatch.setattr(
        sys, "argv", ["mltk", "compile", str(tmp_path / "words.tflite"), "--output", str(tmp_path / "c")]
    )
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    told = capfd.readouterr().err
    assert "layer 0 (leaky_relu): this operator has no kernel" in told
    assert "layer 2 (floor): this operator has no kernel" in told
    assert "layer 1" not in told
    assert "Traceback" not in told
    assert not (tmp_path / "c").exists()


def refusal(build, inputs, outputs):
    """Return why a graph is refused; by the engine and by the compiler alike."""
    model = TfliteModel(build.pack(inputs, outputs))
    with pytest.raises(TfliteError) as first:
        NativeModel(model)
    with pytest.raises(TfliteError) as second:
        compile_model(model, "words")
    assert str(first.value) == str(second.value)
    return str(first.value)


def one_operator(code, first, last, options=None, extra=()):
    """Return why a graph of one operator is refused; first and last: arguments of Builder.tensor."""
    build = Builder()
    source, output = build.tensor(**first), build.tensor(**last)
    inputs = [source, *(build.tensor(**tensor) for tensor in extra)]
    build.operator(code, inputs, [output], options, 2)
    given = [index for index, tensor in zip(inputs[1:], extra, strict=True) if "data" not in tensor]
    return refusal(build, [source, *given], [output])


def int8(*shape, scale=0.1, zero_point=0, **more):
    return {"shape": shape, "scale": scale, "zero_point": zero_point, **more}


def integers(*values):
    return {"shape": (len(values),), "kind": INT32, "data": values}


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ((ADD, int8(1, 4), int8(1, 4), None, [int8(1, 3)]), "do not make up its output's"),
        ((ADD, int8(1, 4), int8(1, 4, scale=1e-8), None, [int8(1, 4)]), "output's scale is too small"),
        ((ADD, {"shape": (1, 4), "kind": FLOAT32}, int8(1, 4), None, [int8(1, 4)]), "float32, not int8"),
        ((ADD, int8(1, 4), int8(1, 4), None, [{"shape": (1, 4)}]), "has no scale"),
        ((ADD, int8(0, 4), int8(0, 4), None, [int8(0, 4)]), "dimension below 1"),
        ((SOFTMAX, int8(1, 4), int8(1, 4), schema.SoftmaxOptionsT(beta=1.0)), "scale 1/256"),
        ((SOFTMAX, int8(1, 4), int8(1, 4, scale=1 / 256, zero_point=-128), schema.SoftmaxOptionsT()), "beta"),
        ((RSQRT, int8(1, 4), int8(1, 4, scale=1e-30)), "outside of 2**-60"),
        ((MEAN, int8(1, 4), int8(1, 1), schema.ReducerOptionsT(), [integers(7)]), "one that is not there"),
        ((MEAN, int8(1, 4), int8(1, 1), schema.ReducerOptionsT(), [int8(1)]), "dimensions is not constant"),
        ((MEAN, int8(1, 4), int8(1, 3), schema.ReducerOptionsT(), [integers(1)]), "output does not fit"),
        ((TRANSPOSE, int8(2, 3), int8(3, 2), None, [integers(1, 1)]), "each of them once"),
        ((TRANSPOSE, int8(2, 3), int8(2, 3), None, [integers(1, 0)]), "another shape"),
        (
            (STRIDED_SLICE, int8(4), int8(2), None, [integers(0), integers(2), integers(0)]),
            "strides is 0",
        ),
        (
            (STRIDED_SLICE, int8(4), int8(2), None, [integers(3), integers(3), integers(1)]),
            "takes nothing",
        ),
        ((SPLIT, integers(5), int8(2), None, [int8(2)]), "no dimension 5"),
        ((BATCH_MATMUL, int8(1, 4), int8(1, 4)), "this operator has no kernel"),
    ],
)
def test_refuses(case, reason):
    if case[0] == SPLIT:
        build = Builder()
        axis, (source, output) = build.tensor(**case[1]), (build.tensor(**int8(2)) for _ in range(2))
        build.operator(SPLIT, [axis, source], [output])
        assert reason in refusal(build, [source], [output])
    else:
        assert reason in one_operator(*case)


def test_refuses_an_output_that_is_a_constant():
    build = Builder()
    source, output = build.tensor((1, 2), scale=0.1), build.tensor((1, 2), scale=0.1, data=[[1, 2]])
    build.operator(ADD, [source, source], [build.tensor((1, 2), scale=0.1)], schema.AddOptionsT())
    assert "output t1 is not computed" in refusal(build, [source], [output])


def test_refuses_tensors_that_are_too_large():
    """Sizes that overflow 32 bits, and single tensors of more than 64 MB."""
    for shape in ((65536, 65536), (2**31 - 1, 2**31 - 1), (1, 2**27)):
        build = Builder()
        source, output = build.tensor(shape, scale=0.1), build.tensor(shape, scale=0.1)
        build.operator(ADD, [source, source], [output], schema.AddOptionsT())
        with pytest.raises(TfliteError):
            NativeModel(TfliteModel(build.pack([source], [output])))


def test_refuses_more_memory_than_any_chip_has():
    build, tensors = Builder(), []
    for _ in range(20):
        tensors.append(build.tensor((1, 2**26), scale=0.1))
    total = tensors[0]
    for tensor in tensors[1:]:
        output = build.tensor((1, 2**26), scale=0.1)
        build.operator(ADD, [total, tensor], [output], schema.AddOptionsT())
        total = output
    assert "more than the 1,073,741,824" in refusal(build, tensors, [total])


def test_everything_is_accepted():
    assert NativeModel(TfliteModel(everything())).plan.steps
