"""What a model costs, as far as its file tells: size, memory, operations, multiply-accumulates."""

import json
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from mltk.models.loading import resolve_tflite
from mltk.models.model import MltkModel
from mltk.utils.errors import ModelError
from mltk.utils.text import printable

if TYPE_CHECKING:
    from mltk.tflite.layers import TfliteLayer, TfliteTensor
    from mltk.tflite.model import TfliteModel


@dataclass(frozen=True)
class LayerProfile:
    """One operator's cost in one inference.

    Attributes:
        index: its place in the order of execution.
        name: the operator, such as "conv_2d".
        ops: arithmetic operations.
        macs: multiply-accumulates.
        input_shapes, output_shapes: such as "1x49x40x1", the weights among the inputs.
        options: its settings, such as "Padding:Same stride:2x2 activation:Relu".

    """

    index: int
    name: str
    ops: int
    macs: int
    input_shapes: list[str]
    output_shapes: list[str]
    options: str


@dataclass(frozen=True)
class ProfilingResults:
    """One model's cost in one inference; prints as a report.

    Attributes:
        name: the model's name.
        input_shapes, output_shapes: such as "1x49x40x1", with the batch.
        input_dtypes, output_dtypes: such as "int8".
        flash_size: bytes of the .tflite.
        ram_size: bytes of TensorFlow Lite Micro's tensor arena as the .tflite's parameters tell
            (runtime_memory_size); None where they do not.
        ops: arithmetic operations.
        macs: multiply-accumulates.
        layers: the same for every operator.

    """

    name: str
    input_shapes: list[str]
    input_dtypes: list[str]
    output_shapes: list[str]
    output_dtypes: list[str]
    flash_size: int
    ram_size: int | None
    ops: int
    macs: int
    layers: list[LayerProfile]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain dicts, lists, strings and numbers."""
        return asdict(self)

    def to_json(self) -> str:
        """Return everything as one JSON object."""
        return json.dumps(self.to_dict(), indent=2)

    def __str__(self) -> str:
        ram = "unknown" if self.ram_size is None else _short(self.ram_size)
        lines = [
            "Profiling Summary",
            f"Name: {self.name}",
            f"Input Shape: {', '.join(self.input_shapes)}",
            f"Input Data Type: {', '.join(self.input_dtypes)}",
            f"Output Shape: {', '.join(self.output_shapes)}",
            f"Output Data Type: {', '.join(self.output_dtypes)}",
            f"Flash, Model File Size (bytes): {_short(self.flash_size)}",
            f"RAM, Runtime Memory Size (bytes): {ram}",
            f"Operation Count: {_short(self.ops)}",
            f"Multiply-Accumulate Count: {_short(self.macs)}",
            f"Layer Count: {len(self.layers)}",
            "",
            "Model Layers",
            self._layer_table(),
        ]
        return printable("\n".join(lines), keep="\n")

    def _layer_table(self) -> str:
        from mltk.tflite.summary import grid

        headings = ("Index", "OpCode", "# Ops", "# MACs", "Input Shape", "Output Shape", "Options")
        rows = (
            (
                str(layer.index),
                layer.name,
                _short(layer.ops),
                _short(layer.macs),
                ",".join(layer.input_shapes),
                ",".join(layer.output_shapes),
                layer.options,
            )
            for layer in self.layers
        )
        return grid(headings, rows)


def profile_model(
    model: str | os.PathLike[str] | MltkModel, test: bool = False, accelerator: str | None = None
) -> ProfilingResults:
    """Tell what a trained model costs. Nothing is simulated: no cycles and no times.

    Args:
        model: a .tflite, an archive, a specification's path, a name, or a loaded model.
        test: profile the dry run's model.
        accelerator: reserved for the simulator of a hardware accelerator.

    Raises:
        ModelError: there is no such model, it is not trained, or an accelerator is asked for.
        ArchiveError: the archive is damaged.
        TfliteError: the .tflite is damaged.

    """
    if accelerator is not None:
        raise ModelError(
            f"The accelerator '{accelerator}' can not be simulated: profile without an accelerator"
        )
    from mltk.tflite.model import TfliteModel

    data, name = resolve_tflite(model, test)
    return _results(TfliteModel(data, path=name), name)


def _results(tflite: "TfliteModel", name: str) -> ProfilingResults:
    ram_size = tflite.parameters.get("runtime_memory_size")
    return ProfilingResults(
        name=name,
        input_shapes=_shapes(tflite.inputs),
        input_dtypes=[tensor.type_name for tensor in tflite.inputs],
        output_shapes=_shapes(tflite.outputs),
        output_dtypes=[tensor.type_name for tensor in tflite.outputs],
        flash_size=len(tflite.flatbuffer_data),
        ram_size=ram_size if isinstance(ram_size, int) and ram_size > 0 else None,
        ops=tflite.ops,
        macs=tflite.macs,
        layers=[_layer(layer) for layer in tflite.layers],
    )


def _layer(layer: "TfliteLayer") -> LayerProfile:
    return LayerProfile(
        index=layer.index,
        name=layer.name,
        ops=layer.ops,
        macs=layer.macs,
        input_shapes=_shapes([tensor for tensor in layer.inputs if tensor is not None]),
        output_shapes=_shapes(list(layer.outputs)),
        options=layer.config,
    )


def _shapes(tensors: "list[TfliteTensor]") -> list[str]:
    return ["x".join(map(str, tensor.shape)) or "scalar" for tensor in tensors]


def _short(value: int) -> str:
    """Return 684.0k for 684004: the form of the reference's reports."""
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if value >= size:
            return f"{value / size:.1f}{unit}"
    return str(value)
