"""What the lowerings of operators share: reading a layer with every claim checked, and adding steps.

A lowering turns one operator into calls of kernels. Kernels trust their parameters, so a lowering has to check
every shape, count and type against the tensors that the graph really has.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from mltk.tflite.layers import TfliteLayer, TfliteTensor
from mltk.tflite.model import TfliteModel
from mltk.tflite.plan.fixed_point import activation_range, quantize_multiplier
from mltk.tflite.plan.steps import Constants, Step

COMPILED_TYPES = ("int8", "uint8", "int16", "int32", "float32")
MOST_SIZE = 2**16 - 1
# Products and quotients of two scales are numbers in float32, which TFLM computes some of in.
_LARGEST_SCALE = 2.0**60
# No kernel's inner sum can leave 32 bits below this many terms of at most 128 * 128 each.
MOST_TERMS = 2**16


class UnsupportedError(Exception):
    """The operator can not be compiled; the text says why, such as "its weights are not constant"."""


class Lowering:
    """The compiler's state while it walks over the operators.

    Attributes:
        model: the model.
        steps: what was added so far.
        temporaries: tensor number -> bytes of the tensors that only the plan has.
        aliases: tensor -> the tensor whose bytes it shares, because it has the same values.

    """

    def __init__(self, model: TfliteModel) -> None:
        self.model = model
        self.steps: list[Step] = []
        self.temporaries: dict[int, int] = {}
        self.aliases: dict[int, int] = {}

    def add(
        self,
        layer: TfliteLayer,
        kernel: str,
        params: Constants,
        inputs: list[TfliteTensor | int],
        outputs: list[TfliteTensor | int],
        in_place: bool = False,
    ) -> None:
        """Add one call.

        Raises:
            UnsupportedError: a tensor has a type that is not compiled.

        """
        for tensor in (*inputs, *outputs):
            if not isinstance(tensor, int):
                compiled_type(tensor)
        self.steps.append(Step(kernel, params, _numbers(inputs), _numbers(outputs), layer.index, in_place))

    def temporary(self, n_bytes: int) -> int:
        """Return the number of a new tensor of n_bytes."""
        number = len(self.model.tensors) + len(self.temporaries)
        self.temporaries[number] = n_bytes
        return number

    def alias(self, output: TfliteTensor, source: TfliteTensor) -> None:
        """Say that `output` is `source`: same bytes, another shape.

        Raises:
            UnsupportedError: they have a type that is not compiled.

        """
        compiled_type(output)
        self.aliases[output.index] = source.index

    def constant(self, tensor: TfliteTensor | None, what: str) -> npt.NDArray[Any]:
        """Return a constant input's values.

        Raises:
            UnsupportedError: it is missing or computed.

        """
        values = None if tensor is None else self.model.constant(tensor)
        if values is None:
            raise UnsupportedError(f"its {what} is not constant")
        return values


def _numbers(tensors: list[TfliteTensor | int]) -> tuple[int, ...]:
    return tuple(tensor if isinstance(tensor, int) else tensor.index for tensor in tensors)


Lower = Callable[[Lowering, TfliteLayer], None]


def need(condition: bool, reason: str) -> None:
    """Refuse the operator unless the condition holds."""
    if not condition:
        raise UnsupportedError(reason)


def compiled_type(tensor: TfliteTensor) -> None:
    """Refuse a tensor whose type the compiled C does not know."""
    need(tensor.type_name in COMPILED_TYPES, f"one of its tensors is {tensor.type_name}")


def tensor_at(layer: TfliteLayer, place: int) -> TfliteTensor:
    """Return an input that must be there."""
    tensor = layer.inputs[place] if place < len(layer.inputs) else None
    if tensor is None:
        raise UnsupportedError(f"its input {place} is missing")
    return tensor


def option(layer: TfliteLayer, name: str) -> int:
    """Return an option that must be there: a damaged file may give an operator the options of another."""
    if name not in layer.options:
        raise UnsupportedError(f"it lacks the option {name}")
    return int(layer.options[name])


def int8_tensor(tensor: TfliteTensor, what: str = "tensor") -> TfliteTensor:
    """Return the tensor if it is int8 with one scale."""
    need(tensor.type_name == "int8", f"its {what} is {tensor.type_name}, not int8")
    return byte_tensor(tensor, what)


def byte_tensor(tensor: TfliteTensor, what: str) -> TfliteTensor:
    """Return the tensor, int8 or uint8, if it has one scale and a zero point within its type."""
    need(len(tensor.scales) == 1, f"its {what} has no scale, or several of them")
    need(
        1 / _LARGEST_SCALE <= tensor.scale <= _LARGEST_SCALE,
        f"the scale of its {what} is outside of 2**-60 to 2**60",
    )
    lowest = -128 if tensor.type_name == "int8" else 0
    need(
        lowest <= tensor.zero_point <= lowest + 255,
        f"the zero point of its {what} is outside of {lowest} to {lowest + 255}",
    )
    return tensor


def batched(tensor: TfliteTensor, what: str) -> tuple[int, int, int, int]:
    """Return (batches, height, width, channels)."""
    need(len(tensor.shape) == 4, f"its {what} has {len(tensor.shape)} dimensions, not 4")
    need(
        all(1 <= size <= MOST_SIZE for size in tensor.shape),
        f"its {what} has a dimension below 1 or above 65535",
    )
    batches, height, width, channels = tensor.shape
    return batches, height, width, channels


def fused_range(layer: TfliteLayer, output: TfliteTensor) -> dict[str, int]:
    """Return out_min and out_max of a fused activation."""
    try:
        lowest, highest = activation_range(int(layer.options.get("fused_activation_function", 0)), output)
    except ValueError as error:
        raise UnsupportedError(str(error)) from error
    return {"out_min": lowest, "out_max": highest}


def requantization(factors: list[float]) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays multipliers and shifts of one factor a channel."""
    need(all(0 <= factor < 2.0**30 for factor in factors), "its scales do not fit each other")
    pairs = [quantize_multiplier(factor) for factor in factors]
    return {
        "multipliers": np.array([multiplier for multiplier, _ in pairs], np.int32),
        "shifts": np.array([shift for _, shift in pairs], np.int8),
    }


def weight_scales(weights: TfliteTensor, channels: int, axis: int) -> list[float]:
    """Return one scale a channel; the weights' zero points must be 0."""
    need(all(zero == 0 for zero in weights.zero_points), "its weights have a zero point other than 0")
    need(len(weights.scales) in (1, channels), "its weights do not have a scale for each channel")
    # Channels that were never used have scales down to 0.
    need(all(0 <= scale <= _LARGEST_SCALE for scale in weights.scales), "a scale of its weights is too large")
    need(
        len(weights.scales) == 1 or weights.quantized_dimension == axis,
        "its weights are scaled along another axis",
    )
    return list(weights.scales) * (channels // len(weights.scales))


def folded_bias(
    lowering: Lowering, bias: TfliteTensor | None, sums: npt.NDArray[np.int64], in_zero: int, n_terms: int
) -> npt.NDArray[np.int32]:
    """Return bias - in_zero * sums, the bias for an input whose zero point is not subtracted.

    Args:
        lowering: the compiler.
        bias: int32 [channels], or None.
        sums: the sum of each channel's weights.
        in_zero: the input's zero point.
        n_terms: products in one sum.

    """
    values = np.zeros(len(sums), np.int64)
    if bias is not None:
        need(bias.type_name == "int32" and bias.size == len(sums), "its bias is not one int32 a channel")
        values = lowering.constant(bias, "bias").reshape(-1).astype(np.int64)
    folded = values - in_zero * sums
    # Every partial sum has to stay within 32 bits, in whatever order a kernel adds.
    need(
        n_terms < MOST_TERMS and int(np.abs(folded).max(initial=0)) < 2**31 - n_terms * 2**14,
        "its bias is too large",
    )
    return folded.astype(np.int32)
