"""Whole models: every layer of our kernels equals TFLM's, and the memory plan keeps to what the issue asks."""

import numpy as np
import pytest
from kernels_models import (
    SHARED_MODELS,
    assert_layers_equal_tflm,
    convolutions,
    ds_cnn,
    everything,
    sample,
    shared_model,
)

from mltk.native import _kernels
from mltk.tflite.micro import MicroInterpreter, is_available
from mltk.tflite.model import TfliteModel
from mltk.tflite.plan.engine import NativeModel
from mltk.tflite.plan.kernels import KERNELS

MADE = {"ds_cnn": ds_cnn, "everything": everything, "convolutions": convolutions}
MODELS = (*MADE, *SHARED_MODELS)
# Bytes that TFLM with CMSIS-NN used on a Cortex-M4, ../shared/reference/device-baselines.md; alexa by the issue.
ARENA_LIMITS = {
    "ds_cnn": 22_944,
    "keyword_spotting_alexa.mltk.zip": 40_000,
    "keyword_spotting_on_off.tflite": 6_852,
    "tflite_micro_speech.mltk.zip": 8_868,
}


def load(name):
    return MADE[name]() if name in MADE else shared_model(name)


@pytest.mark.parametrize("name", MODELS)
def test_every_layer_equals_tflm(name):
    data = load(name)
    for seed in range(3):
        assert_layers_equal_tflm(data, seed)


@pytest.mark.parametrize("seed", range(1, 9))
def test_every_kernel_equals_tflm(seed):
    """Other scales and zero points."""
    assert_layers_equal_tflm(everything(seed), seed)


def test_everything_has_every_kernel():
    plan = NativeModel(TfliteModel(everything())).plan
    assert {step.kernel for step in plan.steps} == set(KERNELS)


@pytest.mark.parametrize("name", MODELS)
def test_a_step_writes_its_outputs_only(name):
    """Nothing but a step's outputs and scratch changes in the arena, whatever is in there before."""
    model = TfliteModel(load(name))
    native = NativeModel(model)
    plan, arena = native.plan, native._arena
    wanted = native.run(*sample(model, 3))
    arena[:] = np.random.default_rng(0).integers(0, 256, arena.size)
    for tensor, value in zip(plan.inputs, sample(model, 3), strict=True):
        native._view(tensor)[...] = value
    for number, step in enumerate(plan.steps):
        before = arena.copy()
        _kernels.call(step.kernel, native._packed[number].bytes, native._pointers[number])
        changed = arena != before
        for tensor in step.outputs:
            changed[plan.offsets[tensor] : plan.offsets[tensor] + plan.sizes[tensor]] = False
        if number in plan.scratch_offsets:
            params = native._packed[number].bytes
            first = plan.scratch_offsets[number]
            changed[first : first + _kernels.scratch_bytes(step.kernel, params)] = False
        assert not changed.any(), f"step {number} ({step.kernel}) wrote to {np.flatnonzero(changed)[:9]}"
    for tensor, value in zip(plan.outputs, wanted, strict=True):
        np.testing.assert_array_equal(native._view(tensor), value)


@pytest.mark.parametrize("name", ARENA_LIMITS)
def test_arena(name):
    data = load(name)
    arena_bytes = NativeModel(TfliteModel(data)).plan.arena_bytes
    assert arena_bytes <= ARENA_LIMITS[name]
    if is_available():
        assert arena_bytes <= MicroInterpreter(data).arena_bytes_used()
