"""What a model costs on a chip, measured: compiled, built and run on an emulated processor."""

import os
from collections import Counter
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from mltk.firmware.bench import ChipModel
from mltk.firmware.compile import compile_model
from mltk.firmware.targets import find_target
from mltk.models.loading import resolve_tflite
from mltk.models.model import MltkModel
from mltk.profiling.profile import profile_model
from mltk.profiling.results import DeviceProfile, ProfilingResults
from mltk.tflite.layers import TfliteTensor
from mltk.tflite.model import TfliteModel

_SEED = 1


def profile_on_chip(
    model: str | os.PathLike[str] | MltkModel, device: str, test: bool = False
) -> ProfilingResults:
    """Measure one inference of a model, compiled at -O2, on an emulated processor.

    Args:
        model: as for `mltk.profiling.profile.profile_model`.
        device: the processor, such as "cortex-m4".
        test: the dry run's model is meant.

    Returns:
        The profile, with the instructions of each layer. The input is random: a kernel's instructions hardly
        depend on its values.

    Raises:
        DeviceError: there is no such processor, or it can not be emulated here.
        MissingExtraError: the extra "device" is not installed.
        TfliteError: the graph can not be compiled; the text lists the layers.
        MltkError: the model can not be found or read.

    """
    target = find_target(device)
    data, name = resolve_tflite(model, test)
    tflite = TfliteModel(data, path=name)
    compiled = compile_model(tflite, "model", target)
    chip = ChipModel(compiled, target)
    rng = np.random.default_rng(_SEED)
    measured = chip.run(*(_random(tensor, rng) for tensor in tflite.inputs))
    of_layer: Counter[int] = Counter()
    for step, instructions in zip(compiled.plan.steps, measured.step_instructions, strict=True):
        of_layer[step.layer] += instructions
    results = profile_model(model, test)
    return replace(
        results,
        layers=[replace(layer, instructions=of_layer[layer.index]) for layer in results.layers],
        device=DeviceProfile(
            name=target.name,
            instructions=measured.instructions,
            code_size=chip.code_bytes,
            arena_size=compiled.plan.arena_bytes,
            stack_size=measured.stack_bytes,
        ),
    )


def _random(tensor: TfliteTensor, rng: np.random.Generator) -> npt.NDArray[np.generic]:
    dtype = np.dtype(tensor.dtype)
    if dtype.kind == "f":
        return rng.standard_normal(tensor.shape).astype(dtype)
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max, tensor.shape, dtype, endpoint=True)
