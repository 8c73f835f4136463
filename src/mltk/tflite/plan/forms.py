"""Forms of a kernel: the same results with other instructions, and the weights in the order that these want."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from mltk.tflite.plan.kernels import KERNELS
from mltk.tflite.plan.steps import Constants, Step

PLAIN = ""


class Processor(Protocol):
    """What a form is chosen by (`mltk.firmware.targets.Target`)."""

    @property
    def has_dsp(self) -> bool:
        """It multiplies pairs of int16."""

    @property
    def has_mve(self) -> bool:
        """It has the vector unit of Armv8.1-M."""


def form_for(kernel: str, target: Processor | None) -> str:
    """Return the fastest form of a kernel that a processor can run."""
    forms = KERNELS[kernel].forms
    if target is not None and target.has_mve and "mve" in forms:
        return "mve"
    if target is not None and target.has_dsp and "dsp" in forms:
        return "dsp"
    return PLAIN


def source_file(kernel: str, form: str) -> str:
    """Return the C file of a form."""
    return KERNELS[kernel].forms[form] if form else KERNELS[kernel].source


def pack_step(step: Step, form: str) -> Step:
    """Return a step with its constants in the order that a form wants."""
    pack = _PACK.get((step.kernel, form))
    return replace(step, params=pack(step.params)) if pack else step


def _pack_words(n_channels: int) -> Callable[[Constants], Constants]:
    """Return a function: weights [out_c][terms] -> words of four int8, zeros fill up.

    The words' order is [out_c / n_channels][terms / 4][n_channels].
    """

    def pack(params: Constants) -> Constants:
        out_c = _count(params["out_c"])
        weights = np.asarray(params["weights"], np.int8).reshape(out_c, -1)
        terms = weights.shape[1]
        padded: npt.NDArray[Any] = np.zeros(
            (-(-out_c // n_channels) * n_channels, -(-terms // 4) * 4), np.int8
        )
        padded[:out_c, :terms] = weights
        words = padded.view("<u4").reshape(len(padded) // n_channels, n_channels, -1).swapaxes(1, 2)
        return {**params, "weights": np.ascontiguousarray(words, np.uint32).reshape(-1)}

    return pack


def _count(value: Any) -> int:
    return int(value)


_PACK: dict[tuple[str, str], Callable[[Constants], Constants]] = {
    ("mltk_conv_s8", "dsp"): _pack_words(2),
    ("mltk_fully_connected_s8", "dsp"): _pack_words(4),
}
