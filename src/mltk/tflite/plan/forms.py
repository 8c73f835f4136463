"""Forms of a kernel: the same results with other instructions, and the weights in the order that these want."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from mltk.tflite.plan.kernels import KERNELS
from mltk.tflite.plan.steps import Constants, Step

PLAIN = ""
# Weights of a model's convolutions that may take two bytes each: what it costs in flash at most, in bytes.
MOST_WIDE_WEIGHTS = 6144


class Processor(Protocol):
    """What a form is chosen by (`mltk.firmware.targets.Target`)."""

    @property
    def has_thumb2(self) -> bool:
        """It has the 32-bit instructions of Armv7-M: long products, loads from any address, saturation."""

    @property
    def has_dsp(self) -> bool:
        """It multiplies pairs of int16."""

    @property
    def has_mve(self) -> bool:
        """It has the vector unit of Armv8.1-M."""


def forms_for(steps: Sequence[Step], target: Processor | None) -> dict[str, str]:
    """Return the form of each kernel of a plan: kernel -> the fastest form that a processor can run.

    A kernel has one form in a model, so that its code is there once. Weights are widened to int16 ahead of time
    only where they are few.

    Args:
        steps: the plan's.
        target: the processor; plain C for any without one.

    """
    return {step.kernel: _form_for(step.kernel, steps, target) for step in steps}


def _form_for(kernel: str, steps: Sequence[Step], target: Processor | None) -> str:
    if target is None:
        return PLAIN
    n_weights = sum(
        np.asarray(step.params["weights"]).size
        for step in steps
        if step.kernel == kernel and "weights" in step.params
    )
    able = {
        "mve": target.has_mve,
        "dsp16": target.has_dsp and n_weights <= MOST_WIDE_WEIGHTS,
        "dsp": target.has_dsp,
        "thumb2": target.has_thumb2,
    }
    forms = KERNELS[kernel].forms
    return next((form for form, is_able in able.items() if is_able and form in forms), PLAIN)


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
        weights = np.asarray(params["weights"], np.int8).reshape(_count(params["out_c"]), -1)
        words = _padded(weights, n_channels, 4).view("<u4")
        words = words.reshape(len(words) // n_channels, n_channels, -1).swapaxes(1, 2)
        return {
            **params,
            "weights": np.ascontiguousarray(words, np.uint32).reshape(-1),
            "shifts": _packed_shifts(params, weights.shape[1]),
        }

    return pack


def _pack_halves(params: Constants) -> Constants:
    """Weights [out_c][terms] -> [out_c / 2][terms / 4][values 0 and 2, values 1 and 3][2 channels] pairs of int16."""
    weights = np.asarray(params["weights"], np.int8).reshape(_count(params["out_c"]), -1)
    padded = _padded(weights, 2, 4).astype("<i2")
    # [out_c / 2, 2 channels, terms / 4, first or last two, even or odd] -> pairs of first and last
    values = padded.reshape(len(padded) // 2, 2, -1, 2, 2).transpose(0, 2, 4, 1, 3)
    words = np.ascontiguousarray(values).view("<u4")
    return {
        **params,
        "weights": words.astype(np.uint32).reshape(-1),
        "shifts": _packed_shifts(params, weights.shape[1]),
    }


def _pack_bytes(n_channels: int, n_terms: int) -> Callable[[Constants], Constants]:
    """Return a function: weights [out_c][terms] -> [out_c / n_channels][terms][n_channels] int8.

    Zeros fill up channels to a multiple of n_channels and terms to one of n_terms.
    """

    def pack(params: Constants) -> Constants:
        weights = np.asarray(params["weights"], np.int8).reshape(_count(params["out_c"]), -1)
        padded = _padded(weights, n_channels, n_terms)
        blocks = padded.reshape(len(padded) // n_channels, n_channels, -1).swapaxes(1, 2)
        return {
            **params,
            "weights": np.ascontiguousarray(blocks).reshape(-1),
            "shifts": _packed_shifts(params, weights.shape[1]),
        }

    return pack


def _pack_vectors(params: Constants) -> Constants:
    """Weights [out_c][terms] -> [out_c / 4][terms / 16][4 channels][16] int8, zeros fill up."""
    weights = np.asarray(params["weights"], np.int8).reshape(_count(params["out_c"]), -1)
    padded = _padded(weights, 4, 16)
    blocks = padded.reshape(len(padded) // 4, 4, -1, 16).swapaxes(1, 2)
    return {**params, "weights": np.ascontiguousarray(blocks).reshape(-1)}


def _padded(weights: npt.NDArray[np.int8], n_channels: int, n_terms: int) -> npt.NDArray[np.int8]:
    """Fill weights [out_c][terms] up with zeros to whole groups of channels and terms."""
    out_c, terms = weights.shape
    padded = np.zeros((-(-out_c // n_channels) * n_channels, -(-terms // n_terms) * n_terms), np.int8)
    padded[:out_c, :terms] = weights
    return padded


def _pack_depthwise(params: Constants) -> Constants:
    return {
        **params,
        "shifts": _packed_shifts(params, _count(params["kernel_h"]) * _count(params["kernel_w"])),
    }


def _packed_shifts(params: Constants, n_terms: int) -> npt.NDArray[np.int8]:
    """Return the shifts as `native/kernels/thumb2.h` wants them: it has a fast way for those of 1 to 22 to the right.

    Args:
        params: of the kernel.
        n_terms: products in one of its sums.

    """
    shifts = np.asarray(params["shifts"], np.int64)
    # A product is at most 128 * 128.
    largest = np.abs(np.asarray(params["bias"], np.int64)) + n_terms * 2**14
    is_fast = (shifts >= -_MOST_RIGHT) & (shifts < 0) & (largest < 2**30)
    return np.where(is_fast, -shifts, shifts + _SLOW).astype(np.int8)


def _count(value: Any) -> int:
    return int(value)


_MOST_RIGHT, _SLOW = 22, -64

_PACK: dict[tuple[str, str], Callable[[Constants], Constants]] = {
    ("mltk_conv_s8", "thumb2"): _pack_bytes(4, 4),
    ("mltk_conv_s8", "dsp"): _pack_words(2),
    ("mltk_conv_s8", "dsp16"): _pack_halves,
    ("mltk_conv_s8", "mve"): _pack_vectors,
    ("mltk_depthwise_conv_s8", "thumb2"): _pack_depthwise,
    ("mltk_depthwise_conv_s8", "dsp"): _pack_depthwise,
    ("mltk_fully_connected_s8", "thumb2"): _pack_bytes(4, 1),
    ("mltk_fully_connected_s8", "dsp"): _pack_words(4),
    ("mltk_fully_connected_s8", "mve"): _pack_vectors,
}
