"""Layers that .h5 files of Keras 2 name and Keras 3 does not have; `mltk.models.legacy_h5` brings the settings.

Each is what Keras 2.11 and TensorFlow computed; https://www.tensorflow.org/api_docs/python/tf tells of each function.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops


def _slice(tensor: Any, slice_spec: Sequence[Any]) -> Any:
    """Return x[...] for the written form of a subscript: {"start", "stop", "step"}, an index, None or '...'."""
    index: list[Any] = []
    for part in slice_spec:
        if isinstance(part, dict) and "start" in part:
            index.append(slice(part.get("start"), part.get("stop"), part.get("step")))
        elif isinstance(part, dict):
            index.append(Ellipsis)
        else:
            index.append(part)
    return tensor[tuple(index)]


def _clip(tensor: Any, clip_value_min: float, clip_value_max: float) -> Any:
    return ops.clip(tensor, clip_value_min, clip_value_max)


def _reduced(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, axis=None, keepdims=False: function(
        x, axis=tuple(axis) if isinstance(axis, list) else axis, keepdims=bool(keepdims)
    )


# TensorFlow's name -> the same of Keras, with TensorFlow's names of the arguments.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "__operators__.getitem": _slice,
    "__operators__.add": lambda x, y: x + y,
    "math.add": lambda x, y: x + y,
    "math.subtract": lambda x, y: x - y,
    "math.multiply": lambda x, y: x * y,
    "math.truediv": lambda x, y: x / y,
    "math.divide": lambda x, y: x / y,
    "math.maximum": ops.maximum,
    "math.minimum": ops.minimum,
    "math.negative": ops.negative,
    "math.abs": ops.abs,
    "math.square": ops.square,
    "math.sqrt": ops.sqrt,
    "math.rsqrt": ops.rsqrt,
    "math.exp": ops.exp,
    "math.log": ops.log,
    "math.pow": ops.power,
    "math.tanh": ops.tanh,
    "math.sigmoid": ops.sigmoid,
    "math.reduce_mean": _reduced(ops.mean),
    "math.reduce_sum": _reduced(ops.sum),
    "math.reduce_max": _reduced(ops.max),
    "math.reduce_min": _reduced(ops.min),
    "nn.relu": ops.relu,
    "nn.relu6": ops.relu6,
    "nn.softmax": lambda logits, axis=-1: ops.softmax(logits, axis=-1 if axis is None else axis),
    "nn.sigmoid": ops.sigmoid,
    "nn.tanh": ops.tanh,
    "reshape": lambda tensor, shape: ops.reshape(tensor, tuple(shape)),
    "squeeze": lambda input, axis=None: ops.squeeze(input, tuple(axis) if isinstance(axis, list) else axis),
    "expand_dims": ops.expand_dims,
    "transpose": lambda a, perm=None: ops.transpose(a, perm),
    "compat.v1.transpose": lambda a, perm=None: ops.transpose(a, perm),
    "compat.v1.squeeze": lambda input, axis=None: ops.squeeze(
        input, tuple(axis) if isinstance(axis, list) else axis
    ),
    "clip_by_value": _clip,
    "cast": ops.cast,
    "identity": lambda input: input,
    "concat": ops.concatenate,
    "stack": lambda values, axis=0: ops.stack(values, axis),
}
_OF_LISTS = ("concat", "stack")


class TFOpLambda(keras.layers.Layer):  # type: ignore[misc]
    """A TensorFlow function that was called on a Keras 2 tensor, such as x + 1 or x[:, -1]; from a fixed list.

    Args:
        function: TensorFlow's name without 'tf.', such as "math.add".
        constants: arguments that are no tensors.
        tensors: names of the arguments that the last inputs are for.
        first: the first argument where it is no tensor, as in 1 - x.

    """

    def __init__(
        self,
        function: str = "__operators__.getitem",
        constants: dict[str, Any] | None = None,
        tensors: Sequence[str] = (),
        first: float | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**{**options, "name": str(options.get("name", "op")).replace("/", "_")})
        self.function = function
        self.constants = dict(constants or {})
        self.tensors = list(tensors)
        self.first = first

    def call(self, inputs: Any) -> Any:
        """Compute."""
        values = list(inputs) if isinstance(inputs, list | tuple) else [inputs]
        n_named = len(self.tensors)
        named = dict(zip(self.tensors, values[len(values) - n_named :], strict=True))
        rest = values[: len(values) - n_named]
        if self.first is not None:
            arguments: list[Any] = [self.first]
        else:
            arguments = [rest] if self.function in _OF_LISTS else rest
        return FUNCTIONS[self.function](*arguments, **named, **self.constants)

    def get_config(self) -> dict[str, Any]:
        """Return what makes the layer again."""
        own = {"function": self.function, "constants": self.constants, "tensors": self.tensors}
        return {**super().get_config(), **own, "first": self.first}


class SlicingOpLambda(TFOpLambda):
    """x[...] of a Keras 2 tensor."""


class ThresholdedReLU(keras.layers.Layer):  # type: ignore[misc]
    """x where x > theta, else 0."""

    def __init__(self, theta: float = 1.0, **options: Any) -> None:
        super().__init__(**options)
        self.theta = float(theta)

    def call(self, inputs: Any) -> Any:
        """Compute."""
        return inputs * ops.cast(inputs > self.theta, inputs.dtype)

    def get_config(self) -> dict[str, Any]:
        """Return what makes the layer again."""
        return {**super().get_config(), "theta": self.theta}


class LayerNormalization(keras.layers.LayerNormalization):  # type: ignore[misc]
    """Layer normalization over several axes; Keras 3 forgets them when it reads the settings of Keras 2."""

    def __init__(self, axes: Sequence[int] | None = None, **options: Any) -> None:
        super().__init__(**(options if axes is None else {**options, "axis": list(axes)}))


def hard_sigmoid(x: Any) -> Any:
    """Return 0.2 x + 0.5 within [0, 1], as Keras 2 had it; Keras 3 computes x / 6 + 0.5 under this name."""
    return ops.clip(0.2 * x + 0.5, 0.0, 1.0)


LAYERS: dict[str, Any] = {
    "TFOpLambda": TFOpLambda,
    "SlicingOpLambda": SlicingOpLambda,
    "ThresholdedReLU": ThresholdedReLU,
    "LayerNormalization": LayerNormalization,
    "hard_sigmoid": hard_sigmoid,
}
