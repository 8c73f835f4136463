"""A small part of benchmarks/fuzz_compile.py, and what it has found."""

import collections
import random
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from fuzz_examine import Examiner, check_programs
from fuzz_mutations import mutate
from fuzz_seeds import INT32, Builder, schema, seed_models
from tflite_models import pack

from mltk.firmware.compile import compile_model
from mltk.tflite.model import TfliteModel
from mltk.tflite.plan.engine import NativeModel
from mltk.tflite.plan.plan import LOWERINGS
from mltk.utils.errors import TfliteError

MUTATIONS = 500


@pytest.fixture(scope="module")
def outcomes():
    """Outcome -> numbers of the mutations that had it."""
    seeds, examiner = seed_models(), Examiner()
    found = collections.defaultdict(list)
    for number in range(MUTATIONS):
        data, how = mutate(seeds, 5, number)
        found[examiner.examine(data, random.Random(number))].append((number, how))
    return found


def test_nothing_but_our_errors(outcomes):
    assert not {name: cases for name, cases in outcomes.items() if name.startswith("BUG")}


def test_every_way_out_is_taken(outcomes):
    for name in ("ran", "refused by the reader", "refused by the compiler"):
        assert len(outcomes[name]) >= MUTATIONS // 20, f"{name}: the damage is of one kind only"


def test_mutations_are_always_the_same():
    seeds = seed_models()
    assert seeds == seed_models()
    for number in range(30):
        assert mutate(seeds, 5, number) == mutate(seeds, 5, number)


def test_the_seeds_have_every_operator():
    names = set()
    for data in seed_models().values():
        model = TfliteModel(data)
        NativeModel(model)
        names |= {layer.name for layer in model.layers}
    assert names == set(LOWERINGS)


def test_some_of_them_as_c_under_the_sanitizers(outcomes):
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc")
    seeds = seed_models()
    chosen = {f"m{number}": mutate(seeds, 5, number)[0] for number, _ in outcomes["ran"][:6]}
    bugs = list(check_programs(chosen))
    if any("sanitize" in bug for bug in bugs):
        pytest.skip("gcc has no sanitizers here")
    assert not bugs


def examine(data):
    return Examiner().examine(data, random.Random(0))


# --- What overflows, and what was found ------------------------------------------------------------------------------


def copying(shape, out_shape=None):
    """Return a graph of one reshape."""
    build = Builder()
    source = build.tensor(shape, scale=0.1)
    output = build.tensor(out_shape or shape, scale=0.1)
    build.operator(22, [source, build.tensor((1,), INT32, data=[-1])], [output])
    return build.pack([source], [output])


@pytest.mark.parametrize(
    "shape",
    [
        (65536, 65536),
        (2**31 - 1, 2**31 - 1),
        (2**31 - 1,) * 8,
        (1,) * 9,
        (-1, 4),
        (4, -(2**31)),
        (2**16, 2**12, 2),
        (2**27,),
    ],
)
def test_shapes_that_overflow_are_refused(shape):
    with pytest.raises(TfliteError):
        compile_model(TfliteModel(copying(shape)), "m")


def test_a_convolution_with_options_of_another_operator_is_refused():
    build = Builder()
    source, output = build.tensor((1, 4, 4, 1), scale=0.1), build.tensor((1, 4, 4, 1), scale=0.1)
    kernel = build.tensor((1, 1, 1, 1), scale=0.1, data=np.ones((1, 1, 1, 1)))
    build.operator(3, [source, kernel, -1], [output], schema.SoftmaxOptionsT(1.0))
    with pytest.raises(TfliteError, match="lacks the option stride_h"):
        NativeModel(TfliteModel(build.pack([source], [output])))


@pytest.mark.parametrize("code", [22, 25])
def test_a_state_that_another_layer_reads_is_refused(code):
    """It shared memory with other tensors: what was read depended on the plan."""
    model = schema.ModelT.InitFromPackedBuf(seed_models()["recurrent"], 0)
    (graph,) = model.subgraphs
    state = next(index for index, tensor in enumerate(graph.tensors) if tensor.isVariable)
    softmax = graph.operators[-1]
    if code == 22:
        model.operatorCodes[softmax.opcodeIndex].builtinCode = 22
        model.operatorCodes[softmax.opcodeIndex].deprecatedBuiltinCode = 22
        softmax.builtinOptions, softmax.builtinOptionsType = None, 0
    graph.tensors[graph.outputs[0]].shape = graph.tensors[state].shape
    graph.tensors[graph.outputs[0]].quantization = graph.tensors[state].quantization
    if code == 25:
        quantization = schema.QuantizationParametersT(scale=[1 / 256], zeroPoint=[-128])
        graph.tensors[graph.outputs[0]].quantization = quantization
    softmax.inputs = [state]
    with pytest.raises(TfliteError, match="reads the state of a recurrent layer"):
        NativeModel(TfliteModel(pack(model)))


@pytest.mark.parametrize("scale", [3e38, 1e-45])
def test_absurd_scales_are_no_warning(scale):
    build = Builder()
    first, second, output = (build.tensor((2,), scale=scale) for _ in range(3))
    build.operator(41, [first, second], [output], schema.SubOptionsT())
    model = TfliteModel(build.pack([first, second], [output]))
    assert examine(model.flatbuffer_data) in ("ran", "refused by the compiler")
