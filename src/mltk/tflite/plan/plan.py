"""The compiler's middle: a graph -> calls of kernels and one static plan of the memory."""

from collections import defaultdict
from collections.abc import Callable

import numpy as np

from mltk.tflite.layers import TfliteLayer
from mltk.tflite.model import TfliteModel
from mltk.tflite.operators import check_runnable
from mltk.tflite.plan.activations import lower_softmax
from mltk.tflite.plan.arena import Block, place
from mltk.tflite.plan.convolutions import lower_conv, lower_depthwise_conv, lower_fully_connected
from mltk.tflite.plan.elementwise import lower_add, lower_mul, lower_squared_difference, lower_sub
from mltk.tflite.plan.lookup import (
    lower_logistic,
    lower_relu,
    lower_relu6,
    lower_rsqrt,
    lower_tanh,
)
from mltk.tflite.plan.lowering import COMPILED_TYPES, Lower, Lowering, UnsupportedError, need
from mltk.tflite.plan.pooling import lower_average_pool, lower_max_pool, lower_mean
from mltk.tflite.plan.quantization import lower_dequantize, lower_quantize
from mltk.tflite.plan.recurrent import lower_lstm
from mltk.tflite.plan.shapes import (
    lower_concatenation,
    lower_pack,
    lower_pad,
    lower_reshape,
    lower_split,
    lower_split_v,
    lower_strided_slice,
    lower_transpose,
)
from mltk.tflite.plan.steps import Plan, Step
from mltk.utils.errors import TfliteError
from mltk.utils.text import printable

LOWERINGS: dict[str, Lower] = {
    "add": lower_add,
    "average_pool_2d": lower_average_pool,
    "dequantize": lower_dequantize,
    "logistic": lower_logistic,
    "max_pool_2d": lower_max_pool,
    "mean": lower_mean,
    "mul": lower_mul,
    "quantize": lower_quantize,
    "relu": lower_relu,
    "relu6": lower_relu6,
    "rsqrt": lower_rsqrt,
    "squared_difference": lower_squared_difference,
    "sub": lower_sub,
    "tanh": lower_tanh,
    "conv_2d": lower_conv,
    "depthwise_conv_2d": lower_depthwise_conv,
    "fully_connected": lower_fully_connected,
    "expand_dims": lower_reshape,
    "reshape": lower_reshape,
    "squeeze": lower_reshape,
    "concatenation": lower_concatenation,
    "pack": lower_pack,
    "pad": lower_pad,
    "padv2": lower_pad,
    "split": lower_split,
    "split_v": lower_split_v,
    "strided_slice": lower_strided_slice,
    "transpose": lower_transpose,
    "unidirectional_sequence_lstm": lower_lstm,
    "softmax": lower_softmax,
}
MOST_TENSOR_BYTES = 2**26
MOST_ARENA_BYTES = 2**30
_MOST_OUTPUTS = 64

ScratchBytes = Callable[[Step], int]


def make_plan(model: TfliteModel, scratch_bytes: ScratchBytes) -> Plan:
    """Compile a model's graph to a plan.

    Args:
        model: the model.
        scratch_bytes: tells the scratch memory that a step needs (the C kernels' sizing twins).

    Raises:
        TfliteError: operators can not be compiled; the text lists each with its reason.

    """
    model.check(check_runnable)
    lowering = Lowering(model)
    problems = []
    for layer in model.layers:
        try:
            _lower(lowering, layer)
        except UnsupportedError as error:
            problems.append(f"layer {layer.index} ({layer.name}): {error}")
    if problems:
        raise TfliteError(printable(f"{model.source} can not be compiled: {'; '.join(problems)}"))
    _check_ends(model)
    return _place(model, lowering, scratch_bytes)


def _check_ends(model: TfliteModel) -> None:
    """Check the graph's inputs and outputs, which need not belong to any operator."""
    for kind, tensors in (("input", model.inputs), ("output", model.outputs)):
        for tensor in tensors:
            if (
                tensor.type_name not in COMPILED_TYPES
                or not 1 <= tensor.size * tensor.dtype.itemsize <= MOST_TENSOR_BYTES
            ):
                reason = f"is {tensor.type_name} {list(tensor.shape)}"
            elif tensor.is_variable or model.constant(tensor) is not None:
                reason = "is not computed"
            else:
                continue
            raise TfliteError(
                printable(f"{model.source} can not be compiled: its {kind} {tensor.name} {reason}")
            )
    if not (model.inputs and model.outputs):
        raise TfliteError(f"{model.source} can not be compiled: it has no input or no output")


def _lower(lowering: Lowering, layer: TfliteLayer) -> None:
    lower = LOWERINGS.get(layer.name)
    if lower is None:
        raise UnsupportedError("this operator has no kernel")
    need(1 <= len(layer.outputs) <= _MOST_OUTPUTS, "it has no output, or too many")
    for tensor in (*layer.inputs, *layer.outputs):
        if tensor is not None:
            need(min(tensor.shape, default=1) >= 1, "one of its tensors has a dimension below 1")
            need(tensor.size * tensor.dtype.itemsize <= MOST_TENSOR_BYTES, "one of its tensors is too large")
    # Absurd scales become infinity in float32, which the lowerings refuse: numpy need not warn of it.
    first = len(lowering.steps)
    with np.errstate(all="ignore"):
        lower(lowering, layer)
    # A recurrent layer's state is the kernel's scratch: nothing else can read it.
    states = {tensor.index for tensor in layer.inputs if tensor is not None and tensor.is_variable}
    used = {tensor for step in lowering.steps[first:] for tensor in step.inputs}
    aliases = {lowering.aliases[tensor.index] for tensor in layer.outputs if tensor.index in lowering.aliases}
    need(not states & (used | aliases), "it reads the state of a recurrent layer")


def _place(model: TfliteModel, lowering: Lowering, scratch_bytes: ScratchBytes) -> Plan:
    """Find each tensor's life and give it a place in the arena."""
    steps = lowering.steps

    def home(tensor: int) -> int:
        while tensor in lowering.aliases:
            tensor = lowering.aliases[tensor]
        return tensor

    sizes = {
        tensor.index: tensor.size * tensor.dtype.itemsize for tensor in model.tensors
    } | lowering.temporaries
    lives: dict[int, list[int]] = defaultdict(list)
    constants = {}
    for number, step in enumerate(steps):
        for tensor in (*step.inputs, *step.outputs):
            value = None if tensor >= len(model.tensors) else model.constant(model.tensors[tensor])
            if value is None:
                lives[home(tensor)].append(number)
            else:
                constants[tensor] = value
    # The caller writes the inputs before the first step and reads the outputs after the last.
    for end in model.inputs:
        lives[home(end.index)].append(-1)
    for end in model.outputs:
        lives[home(end.index)].append(len(steps))
    variables = {tensor.index for tensor in model.tensors if tensor.is_variable}
    for number, step in enumerate(steps):
        if step.in_place:
            output = home(step.outputs[0])
            ended = [
                source
                for source in map(home, step.inputs)
                if source in lives and max(lives[source]) == number and source not in variables
            ]
            same = [source for source in ended if sizes[source] == sizes[output] and source != output]
            if same and min(lives[output]) == number:
                lowering.aliases[output] = same[0]
                lives[same[0]] += lives.pop(output)
    blocks = {tensor: Block(sizes[tensor], min(times), max(times)) for tensor, times in lives.items()}
    # A step's scratch lives as long as the step: below zero, so that no tensor has its number.
    scratch = {number: n_bytes for number, step in enumerate(steps) if (n_bytes := scratch_bytes(step))}
    blocks |= {-1 - number: Block(n_bytes, number, number) for number, n_bytes in scratch.items()}
    offsets, total = place(blocks)
    if total > MOST_ARENA_BYTES:
        raise TfliteError(
            f"{model.source} can not be compiled: its tensors take {total:,} bytes, "
            f"more than the {MOST_ARENA_BYTES:,} that are allowed"
        )
    placed = {
        tensor: offsets[home(tensor)] for tensor in {*lives, *lowering.aliases} if home(tensor) in offsets
    }
    return Plan(
        steps=tuple(steps),
        offsets=placed,
        sizes={tensor: sizes[tensor] for tensor in placed},
        arena_bytes=total,
        scratch_offsets={number: offsets[-1 - number] for number in scratch},
        inputs=tuple(model.inputs),
        outputs=tuple(model.outputs),
        constants=constants,
    )
