"""What the cost models need to know of an operator: shapes and settings, apart from any file."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mltk.tflite import schema

if TYPE_CHECKING:
    from mltk.tflite.layers import TfliteLayer

_CONVOLUTIONS = {"conv_2d", "depthwise_conv_2d", "transpose_conv"}
_POOLS = {"average_pool_2d", "max_pool_2d"}


@dataclass(frozen=True)
class Operator:
    """One operator of a graph.

    Attributes:
        name: in lower case, such as "conv_2d".
        inputs: the inputs' shapes with the batch; weights and biases are among them.
        output: the output's shape with the batch.
        dtype: the type of what is computed with, such as "int8" or "float32".
        stride: (height, width), 1 where it has none.
        kernel: (height, width) of a convolution's or a pooling's window.
        dilation: (height, width), 1 where it has none.
        is_padded: zeros stand around the input ("same"), else not ("valid").
        has_activation: a ReLU of some kind is fused into it.
        macs: multiply-accumulates of one inference.

    """

    name: str
    inputs: tuple[tuple[int, ...], ...]
    output: tuple[int, ...]
    dtype: str = "int8"
    stride: tuple[int, int] = (1, 1)
    kernel: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    is_padded: bool = False
    has_activation: bool = False
    macs: int = 0

    @property
    def elements(self) -> int:
        """The number of values it gives."""
        return _product(self.output)

    @property
    def is_image(self) -> bool:
        """Whether the first input and the output are [batch, height, width, channels], none of them empty."""
        shapes = (*self.inputs[:1], self.output)
        return bool(self.inputs) and all(len(shape) == 4 and min(shape) > 0 for shape in shapes)


def operator_of(layer: "TfliteLayer") -> Operator:
    """Return what the cost models need of a layer of a .tflite."""
    options = layer.options
    tensors = [tensor for tensor in layer.inputs if tensor is not None]
    shapes = tuple(tensor.shape for tensor in tensors)
    kernel = (1, 1)
    if layer.name in _CONVOLUTIONS and len(shapes) > 1 and len(shapes[1]) == 4:
        kernel = (shapes[1][1], shapes[1][2])
    elif layer.name in _POOLS:
        kernel = (_at_least_one(options.get("filter_height")), _at_least_one(options.get("filter_width")))
    activation = schema.enum_name("ActivationFunctionType", options.get("fused_activation_function", 0))
    return Operator(
        name=layer.name,
        inputs=shapes,
        output=layer.outputs[0].shape if layer.outputs else (),
        dtype=tensors[0].type_name if tensors else "",
        stride=(_at_least_one(options.get("stride_h")), _at_least_one(options.get("stride_w"))),
        kernel=kernel,
        dilation=(
            _at_least_one(options.get("dilation_h_factor")),
            _at_least_one(options.get("dilation_w_factor")),
        ),
        is_padded=schema.enum_name("Padding", options.get("padding", 0)).lower() == "same",
        has_activation=activation.lower() != "none",
        macs=layer.macs,
    )


def device_ops(operator: Operator, ops: int) -> int:
    """Return an operator's operations as the profiles of the reference count them.

    They differ from the summaries (`tflite/cost.py`) in three places, as the ten published tables tell: a ReLU
    fused into a convolution or a fully connected layer is 2 an output, a softmax is 5 an output, a reshape
    is nothing.

    Args:
        operator: the operator.
        ops: the operations that its summary counts.

    """
    if operator.name == "reshape":
        return 0
    if operator.name == "softmax":
        return 5 * operator.elements
    if operator.has_activation and operator.name in {*_CONVOLUTIONS, "fully_connected"}:
        return ops + 2 * operator.elements
    return ops


def _product(shape: tuple[int, ...]) -> int:
    product = 1
    for size in shape:
        product *= size
    return product


def _at_least_one(value: object) -> int:
    return max(1, int(value)) if isinstance(value, int) else 1
