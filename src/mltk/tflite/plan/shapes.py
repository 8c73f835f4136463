"""Operators that only move values: most cost nothing."""

from mltk.tflite.layers import TfliteLayer
from mltk.tflite.plan.lowering import Lowering, need, tensor_at


def lower_reshape(lowering: Lowering, layer: TfliteLayer) -> None:
    """Reshape: the same bytes under another shape."""
    source, output = tensor_at(layer, 0), layer.outputs[0]
    need(source.size == output.size and source.type_name == output.type_name, "its output has another size")
    need(lowering.model.constant(source) is None, "its input is constant")
    lowering.alias(output, source)
