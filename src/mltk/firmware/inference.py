"""What is learned from one inference on an emulated chip."""

from dataclasses import dataclass
from typing import Any

import numpy.typing as npt


@dataclass(frozen=True)
class Inference:
    """One inference on the emulated chip.

    Attributes:
        outputs: the graph's outputs in their own types.
        instructions: how many the inference took.
        step_instructions: the same for each of the plan's steps.
        stack_bytes: the most stack that it used; 0 where that was not measured (QEMU).

    """

    outputs: list[npt.NDArray[Any]]
    instructions: int
    step_instructions: list[int]
    stack_bytes: int
