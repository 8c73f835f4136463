"""`NativeModel`: runs a .tflite with the C kernels that go onto the chip, one step at a time.

No compiler is needed: the extension holds the kernels, and the plan says which to call on what. Every layer's
output is at hand.
"""

import ctypes
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from mltk.native import _kernels
from mltk.tflite.layers import TfliteTensor
from mltk.tflite.model import TfliteModel, as_tensor_values
from mltk.tflite.plan.kernels import C_TYPES, KERNELS, Kernel, element_type
from mltk.tflite.plan.plan import make_plan
from mltk.tflite.plan.steps import Constants, Plan, Step


class PackedParams:
    """A kernel's parameters as the C struct that it reads; holds the constant arrays that the struct points to.

    Args:
        kernel: the kernel.
        params: field -> number or array, for every field.

    """

    def __init__(self, kernel: Kernel, params: Constants) -> None:
        values = _STRUCTS[kernel.name]()
        self._held: list[npt.NDArray[Any]] = []
        for name, c_type in kernel.fields:
            value = params[name]
            if c_type.endswith(" *"):
                array = np.ascontiguousarray(value, dtype=element_type(c_type, value))
                self._held.append(array)
                setattr(values, name, array.ctypes.data)
            else:
                setattr(values, name, value)
        self.bytes = np.frombuffer(bytes(values), np.uint8)


def _structure(kernel: Kernel) -> type[ctypes.Structure]:
    fields = [
        (name, ctypes.c_void_p if c_type.endswith(" *") else C_TYPES[c_type])
        for name, c_type in kernel.fields
    ]
    return type(kernel.struct_name, (ctypes.Structure,), {"_fields_": fields})


_STRUCTS = {name: _structure(kernel) for name, kernel in KERNELS.items()}


def scratch_bytes(step: Step) -> int:
    """Return the scratch memory that a step needs: the answer of the kernel's sizing twin."""
    kernel = KERNELS[step.kernel]
    if not kernel.has_scratch:
        return 0
    return _kernels.scratch_bytes(step.kernel, PackedParams(kernel, step.params).bytes)


class NativeModel:
    """A model that runs on mltk's own kernels.

    Args:
        model: the .tflite.

    Raises:
        TfliteError: it has operators without a kernel; the text lists them.

    """

    def __init__(self, model: TfliteModel) -> None:
        self.model = model
        self.plan: Plan = make_plan(model, scratch_bytes)
        # Eight bytes to spare: numpy aligns to 16, C reads no further than what the plan says.
        self._arena = np.zeros(self.plan.arena_bytes + 8, np.uint8)
        self._packed = [PackedParams(KERNELS[step.kernel], step.params) for step in self.plan.steps]
        self._pointers = [self._addresses(number, step) for number, step in enumerate(self.plan.steps)]

    def _addresses(self, number: int, step: Step) -> list[int]:
        base = self._arena.ctypes.data
        addresses = [
            self.plan.constants[tensor].ctypes.data
            if tensor in self.plan.constants
            else base + self.plan.offsets[tensor]
            for tensor in (*step.inputs, *step.outputs)
        ]
        if KERNELS[step.kernel].has_scratch:
            addresses.append(base + self.plan.scratch_offsets.get(number, 0))
        return addresses

    def run(self, *inputs: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """Run one inference.

        Args:
            inputs: the graph's inputs with the batch axis, in their own types or as real numbers.

        Returns:
            The graph's outputs in their own types.

        Raises:
            TfliteError: an input has another shape or type.

        """
        for _ in self.layers(*inputs):
            pass
        return [self._view(tensor).copy() for tensor in self.plan.outputs]

    def layers(self, *inputs: npt.NDArray[Any]) -> Iterator[tuple[int, list[npt.NDArray[Any]]]]:
        """Run one inference layer by layer.

        Args:
            inputs: as for `run`.

        Yields:
            The layer's number and its outputs.

        Raises:
            TfliteError: an input has another shape or type.

        """
        for tensor, value in zip(self.plan.inputs, inputs, strict=True):
            self._view(tensor)[...] = as_tensor_values(value, tensor, self.model.source)
        number = 0
        for layer in self.model.layers:
            while number < len(self.plan.steps) and self.plan.steps[number].layer == layer.index:
                step = self.plan.steps[number]
                _kernels.call(step.kernel, self._packed[number].bytes, self._pointers[number])
                number += 1
            yield layer.index, [self._view(tensor).copy() for tensor in layer.outputs]

    def _view(self, tensor: TfliteTensor) -> npt.NDArray[Any]:
        if tensor.index not in self.plan.offsets:
            return self.plan.constants[tensor.index]
        start = self.plan.offsets[tensor.index]
        return (
            self._arena[start : start + self.plan.sizes[tensor.index]]
            .view(tensor.dtype)
            .reshape(tensor.shape)
        )
