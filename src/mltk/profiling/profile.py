"""What a model costs: size, memory, operations, and on a chip with an accelerator the cycles and the time."""

import os
from typing import TYPE_CHECKING

from mltk.models.loading import resolve_tflite
from mltk.models.model import MltkModel
from mltk.profiling.estimate import LayerCost, accelerated_cost, cpu_cost
from mltk.profiling.results import LayerProfile, ProfilingResults
from mltk.utils.errors import ModelError

if TYPE_CHECKING:
    from mltk.tflite.layers import TfliteLayer, TfliteTensor
    from mltk.tflite.model import TfliteModel

__all__ = ["ACCELERATORS", "LayerProfile", "ProfilingResults", "find_accelerator", "profile_model"]

ACCELERATORS = ("MVP",)

_WITH_GRAPHS = {"while", "if", "call_once", "call"}  # run graphs of their own


def find_accelerator(name: str) -> str:
    """Return an accelerator's name as it is written; upper or lower case does not matter.

    Raises:
        ModelError: there is no such accelerator.

    """
    known = {accelerator.lower(): accelerator for accelerator in ACCELERATORS}
    if name.lower() not in known:
        raise ModelError(f"There is no accelerator '{name}': there is {', '.join(ACCELERATORS)}")
    return known[name.lower()]


def profile_model(
    model: str | os.PathLike[str] | MltkModel,
    test: bool = False,
    accelerator: str | None = None,
    estimates: bool = False,
) -> ProfilingResults:
    """Tell what a trained model costs. Nothing is run: cycles and times come from a model of the chip.

    Args:
        model: a .tflite, an archive, a specification's path, a name, or a loaded model.
        test: profile the dry run's model.
        accelerator: "MVP": predict the cycles of the MVP accelerator (EFR32xG24, 78 MHz), those of the CPU,
            and the time. See docs/profiling.md for how far to trust them.
        estimates: without an accelerator too, predict the CPU's cycles and the time (Cortex-M33, 78 MHz,
            CMSIS-NN), right within about a factor of two.

    Raises:
        ModelError: there is no such model or accelerator, or the model is not trained.
        ArchiveError: the archive is damaged.
        TfliteError: the .tflite is damaged.

    """
    name_of_accelerator = None if accelerator is None else find_accelerator(accelerator)
    from mltk.tflite.model import TfliteModel

    data, name = resolve_tflite(model, test)
    return _results(TfliteModel(data, path=name), name, name_of_accelerator, estimates)


def _results(tflite: "TfliteModel", name: str, accelerator: str | None, estimates: bool) -> ProfilingResults:
    from mltk.profiling.coefficients import mvp_coefficients

    ram_size = tflite.parameters.get("runtime_memory_size")
    layers = [_layer(layer, accelerator, estimates) for layer in tflite.layers]
    has_times = accelerator is not None or estimates
    return ProfilingResults(
        name=name,
        accelerator=accelerator,
        input_shapes=_shapes(tflite.inputs),
        input_dtypes=[tensor.type_name for tensor in tflite.inputs],
        output_shapes=_shapes(tflite.outputs),
        output_dtypes=[tensor.type_name for tensor in tflite.outputs],
        flash_size=len(tflite.flatbuffer_data),
        ram_size=ram_size if isinstance(ram_size, int) and ram_size > 0 else None,
        ops=sum(layer.ops for layer in layers),
        macs=tflite.macs,
        clock_hz=round(mvp_coefficients().clock_hz) if has_times else None,
        energy_j=None,
        notes=_notes(layers, accelerator, estimates),
        layers=layers,
    )


def _notes(layers: list[LayerProfile], accelerator: str | None, estimates: bool) -> list[str]:
    notes = []
    outside = ", ".join(sorted({layer.name for layer in layers} & _WITH_GRAPHS))
    if outside:
        notes.append(f"Not counted: the graphs that other operators run ({outside}).")
    assumed = ", ".join(sorted({layer.name for layer in layers if layer.basis == "assumed"}))
    if accelerator is not None and assumed:
        notes.append(f"Not fitted on measurements, but taken from similar operators: {assumed}.")
    if accelerator is None and estimates:
        notes.append("CPU cycles and time are estimates, right within about a factor of two.")
    if estimates:
        notes.append(
            "Energy is unknown: no published measurement tells the chip's current under these loads."
        )
    return notes


def _layer(layer: "TfliteLayer", accelerator: str | None, estimates: bool) -> LayerProfile:
    from mltk.profiling.coefficients import mvp_coefficients
    from mltk.profiling.operator import device_ops, operator_of

    operator = operator_of(layer)
    cost: LayerCost | None = None
    if accelerator is not None:
        cost = accelerated_cost(operator, mvp_coefficients())
    elif estimates:
        cost = cpu_cost(operator, mvp_coefficients())
    has_accelerator = cost is not None and cost.acc_cycles is not None
    return LayerProfile(
        index=layer.index,
        name=layer.name,
        ops=device_ops(operator, layer.ops),
        macs=layer.macs,
        input_shapes=_shapes([tensor for tensor in layer.inputs if tensor is not None]),
        output_shapes=_shapes(list(layer.outputs)),
        options=layer.config,
        acc_cycles=round(cost.acc_cycles) if cost is not None and cost.acc_cycles is not None else None,
        cpu_cycles=None if cost is None else round(cost.cpu_cycles),
        time_s=None if cost is None else cost.time_s,
        is_supported=cost.is_supported if cost is not None and has_accelerator else None,
        error="" if cost is None else cost.error,
        basis=None if cost is None else cost.basis,
    )


def _shapes(tensors: "list[TfliteTensor]") -> list[str]:
    return ["x".join(map(str, tensor.shape)) or "scalar" for tensor in tensors]
