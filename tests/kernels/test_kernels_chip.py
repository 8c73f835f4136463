"""Compiled models on emulated chips, whose kernels may have other forms: every byte as TFLM has it."""

import numpy as np
import pytest
from kernels_cases import run_tflm
from kernels_models import convolutions, ds_cnn, everything, sample, shared_model

from mltk.firmware.bench import ChipModel
from mltk.firmware.compile import compile_model
from mltk.firmware.targets import find_target
from mltk.tflite.model import TfliteModel

pytest.importorskip("ziglang", reason="needs the extra device")
pytest.importorskip("unicorn", reason="needs the extra device")

TARGETS = ("cortex-m4", "cortex-m0plus")
MODELS = {
    "ds_cnn": ds_cnn,
    "everything": everything,
    **{f"convolutions_{seed}": lambda seed=seed: convolutions(seed) for seed in range(2)},
    "micro_speech": lambda: shared_model("tflite_micro_speech.mltk.zip"),
    "on_off": lambda: shared_model("keyword_spotting_on_off.tflite"),
}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", MODELS)
def test_chip_equals_tflm(name, target):
    data = MODELS[name]()
    model = TfliteModel(data)
    chip = ChipModel(compile_model(model, "words", find_target(target)), find_target(target))
    for seed in range(1 if name == "ds_cnn" else 3):
        inputs = sample(model, seed)
        for got, wanted in zip(chip.run(*inputs).outputs, run_tflm(data, *inputs), strict=True):
            np.testing.assert_array_equal(got, wanted)
