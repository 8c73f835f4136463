"""Every operator but the convolutions alone, over random shapes, scales and zero points, against TFLM: every byte."""

import kernels_graphs as graphs
import pytest
from hypothesis import given
from kernels_cases import assert_equals_tflm, many, seeds

PAIRS = {
    "add": graphs.ADD,
    "sub": graphs.SUB,
    "mul": graphs.MUL,
    "squared_difference": graphs.SQUARED_DIFFERENCE,
}
ANY_INPUT = {
    **{name: graphs.pairs(code) for name, code in PAIRS.items()},
    "average_pool_2d": graphs.pools(graphs.AVERAGE_POOL),
    "max_pool_2d": graphs.pools(graphs.MAX_POOL),
    "mean": graphs.means(),
    "softmax": graphs.softmaxes(),
    "reshape": graphs.reshapes(),
    "transpose": graphs.transposes(),
    "pad": graphs.pads(),
    "concatenation": graphs.concatenations(),
    "pack": graphs.packs(),
    "split": graphs.splits(),
    "strided_slice": graphs.strided_slices(),
    "lstm": graphs.lstms(),
}
# Their one input holds every int8 value.
ALL_VALUES = {
    "logistic": graphs.logistics(),
    "tanh": graphs.tanhs(),
    "relu": graphs.relus(),
    "relu6": graphs.relu6s(),
    "requantize": graphs.requantizes(),
    "dequantize": graphs.dequantizes(),
}
OWN_INPUT = {"quantize": graphs.quantizes(), "bytes": graphs.bytes_to_int8(), "rsqrt": graphs.rsqrts()}


@pytest.mark.parametrize("operator", ANY_INPUT)
def test_on_random_values(operator):
    @many(30)
    @given(ANY_INPUT[operator], seeds)
    def check(data, seed):
        assert_equals_tflm(data, seed=seed)

    check()


@pytest.mark.parametrize("operator", ALL_VALUES)
def test_on_every_value(operator):
    @many(20)
    @given(ALL_VALUES[operator])
    def check(data):
        assert_equals_tflm(data, graphs.all_values())

    check()


@pytest.mark.parametrize("operator", OWN_INPUT)
def test_on_its_own_values(operator):
    @many(20)
    @given(OWN_INPUT[operator])
    def check(case):
        assert_equals_tflm(*case)

    check()
