"""The plan's records: calls of kernels, and the memory that their tensors live in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt

from mltk.tflite.layers import TfliteTensor

Constants = Mapping[str, "int | float | npt.NDArray[Any]"]


@dataclass(frozen=True)
class Step:
    """One call of a kernel.

    Attributes:
        kernel: its name in `kernels.KERNELS`.
        params: field -> number or constant array, for every field of the kernel's struct.
        inputs, outputs: the tensors' numbers (a graph's tensor, or a temporary above them).
        layer: the operator that it belongs to.
        in_place: the output may be the memory of an input of its size.

    """

    kernel: str
    params: Constants
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    layer: int
    in_place: bool = False


@dataclass(frozen=True)
class Plan:
    """A graph as calls of kernels over one arena.

    Attributes:
        steps: the calls, in order.
        offsets: tensor -> its first byte in the arena; tensors may share bytes where their lifetimes allow.
        sizes: tensor -> bytes.
        arena_bytes: the arena's size, scratch included.
        scratch_offsets: step -> where its scratch memory begins in the arena, for steps that have some.
        inputs, outputs: the graph's.
        constants: graph tensors that are constants and that steps read as inputs -> their values.

    """

    steps: tuple[Step, ...]
    offsets: Mapping[int, int]
    sizes: Mapping[int, int]
    arena_bytes: int
    scratch_offsets: Mapping[int, int]
    inputs: tuple[TfliteTensor, ...]
    outputs: tuple[TfliteTensor, ...]
    constants: Mapping[int, npt.NDArray[Any]] = field(default_factory=dict)
