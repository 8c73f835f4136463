"""Convolutions and fully connected layers, each alone, against TFLM."""

import numpy as np
import pytest
from hypothesis import given
from kernels_cases import (
    INT8,
    Builder,
    assert_equals_tflm,
    convolutions,
    fully_connecteds,
    many,
    schema,
    seeds,
)

from mltk.tflite.model import TfliteModel
from mltk.tflite.plan.engine import NativeModel
from mltk.utils.errors import TfliteError


@many(40)
@given(convolutions(depthwise=False), seeds)
def test_conv_2d(data, seed):
    assert_equals_tflm(data, seed=seed)


@many(40)
@given(convolutions(depthwise=True), seeds)
def test_depthwise_conv_2d(data, seed):
    assert_equals_tflm(data, seed=seed)


@many(40)
@given(fully_connecteds(), seeds)
def test_fully_connected(data, seed):
    assert_equals_tflm(data, seed=seed)


def test_a_wrong_value_is_seen():
    """The comparison can fail: a graph that reads another input."""
    build = Builder()
    source = build.tensor((1, 3), scale=0.1)
    output = build.tensor((1, 3), scale=1 / 256, zero_point=-128)
    build.operator(25, [source], [output], schema.SoftmaxOptionsT(beta=1.0), version=2)
    data = build.pack([source], [output])
    native = NativeModel(TfliteModel(data))
    first = native.run(np.array([[1, 2, 3]], np.int8))[0]
    assert (assert_equals_tflm(data, np.array([[9, 2, 3]], np.int8))[0] != first).any()


def test_refuses_weights_that_are_computed():
    build = Builder()
    source, weights = build.tensor((1, 4), scale=0.1), build.tensor((2, 4), scale=0.1)
    output = build.tensor((1, 2), INT8, scale=0.1)
    build.operator(9, [source, weights, -1], [output], schema.FullyConnectedOptionsT(), version=4)
    with pytest.raises(TfliteError, match=r"layer 0 \(fully_connected\): its weights is not constant"):
        NativeModel(TfliteModel(build.pack([source, weights], [output])))
