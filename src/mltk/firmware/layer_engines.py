"""Everything that computes a model, with every layer's output: what a parity report compares.

Each engine takes the graph's inputs and gives the outputs of all layers as one flat list, the same tensors in the same
order for every engine.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from mltk.firmware.bench import ChipModel
from mltk.firmware.compile import compile_model
from mltk.firmware.host import HostModel, Snapshot, snapshots
from mltk.firmware.targets import Target
from mltk.tflite.model import TfliteModel
from mltk.tflite.plan.engine import NativeModel

Array = npt.NDArray[Any]
Sample = Sequence[Array]

# Inferences of one process on this machine: their outputs are in memory at once.
_BATCH = 16


class LayerEngine(Protocol):
    """One way to compute a model."""

    @property
    def name(self) -> str:
        """What a report calls it."""

    def layers(self, samples: Sequence[Sample]) -> Iterator[list[Array]]:
        """Yield for each sample (the graph's inputs) the outputs of all layers, in the tensors' own types."""


class MicroLayers:
    """TensorFlow Lite Micro, the PyPI package: what the others are held to.

    Args:
        model: the model.
        moments: the layers and tensors that are compared.

    Raises:
        TfliteError: tflite-micro is not installed, or refuses the model.

    """

    name = "TFLM"

    def __init__(self, model: TfliteModel, moments: Sequence[Snapshot]) -> None:
        from mltk.tflite.micro import MicroInterpreter

        model.ensure_runnable("micro")
        self._interpreter = MicroInterpreter(model.flatbuffer_data, keep_every_tensor=True)
        self._tensors = [tensor for moment in moments for tensor in moment.tensors]

    def layers(self, samples: Sequence[Sample]) -> Iterator[list[Array]]:
        """Yield every layer's outputs for each sample."""
        for sample in samples:
            for place, value in enumerate(sample):
                self._interpreter.set_input(place, value)
            self._interpreter.invoke()
            yield [self._interpreter.tensor(tensor.index).reshape(tensor.shape) for tensor in self._tensors]


class NativeLayers:
    """mltk's kernels in this process, as the extension has them."""

    name = "native"

    def __init__(self, model: TfliteModel, moments: Sequence[Snapshot]) -> None:
        self._native = NativeModel(model)
        self._wanted = {
            moment.layer.index: [moment.layer.outputs.index(tensor) for tensor in moment.tensors]
            for moment in moments
        }

    def layers(self, samples: Sequence[Sample]) -> Iterator[list[Array]]:
        """Yield every layer's outputs for each sample."""
        for sample in samples:
            yield [
                outputs[place]
                for layer, outputs in self._native.layers(*sample)
                for place in self._wanted[layer]
            ]


class HostLayers:
    """The generated C on this machine."""

    name = "C on this machine"

    def __init__(self, model: TfliteModel) -> None:
        self._host = HostModel(model, compile_model(model))

    def layers(self, samples: Sequence[Sample]) -> Iterator[list[Array]]:
        """Yield every layer's outputs for each sample."""
        for start in range(0, len(samples), _BATCH):
            yield from self._host.layers(samples[start : start + _BATCH])


class ChipLayers:
    """The generated C on an emulated chip.

    Args:
        model: the model.
        target: the processor.

    Raises:
        DeviceError: it can not be built or emulated.
        MissingExtraError: the extra "device" is not installed.

    """

    def __init__(self, model: TfliteModel, target: Target) -> None:
        compiled = compile_model(model, target=target)
        self.name = f"C on {target.name}"
        self._chip = ChipModel(compiled, target)
        self._moments = snapshots(model, compiled.plan)
        self._n_done = 0
        self._values: list[Array] = []
        self._chip.watch_steps(self._on_step)

    def layers(self, samples: Sequence[Sample]) -> Iterator[list[Array]]:
        """Yield every layer's outputs for each sample."""
        for sample in samples:
            self._n_done, self._values = 0, []
            self._chip.outputs(*sample)
            self._take()
            yield self._values

    def _on_step(self) -> None:
        """Before a step: what the steps so far have made is complete."""
        self._take()
        self._n_done += 1

    def _take(self) -> None:
        for moment in self._moments:
            if moment.after == self._n_done:
                self._values += [np.array(self._chip.tensor(tensor)) for tensor in moment.tensors]
