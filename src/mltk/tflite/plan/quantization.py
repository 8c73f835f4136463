"""Operators between int8 and floating point."""

from mltk.tflite.layers import TfliteLayer
from mltk.tflite.plan.lookup import lower_requantize
from mltk.tflite.plan.lowering import Lowering, int8_tensor, need, tensor_at


def lower_quantize(lowering: Lowering, layer: TfliteLayer) -> None:
    """Quantize float32 to int8, or int8 and uint8 to another scale."""
    source = tensor_at(layer, 0)
    if source.type_name != "float32":
        lower_requantize(lowering, layer)
        return
    output = int8_tensor(layer.outputs[0], "output")
    need(source.size == output.size, "its input and output have different shapes")
    params = {"scale": output.scale, "count": output.size, "out_zero": output.zero_point}
    lowering.add(layer, "mltk_quantize_f32_s8", params, [source], [output])


def lower_dequantize(lowering: Lowering, layer: TfliteLayer) -> None:
    """Dequantize int8 to float32."""
    source, output = int8_tensor(tensor_at(layer, 0), "input"), layer.outputs[0]
    need(output.type_name == "float32", f"its output is {output.type_name}, not float32")
    need(source.size == output.size, "its input and output have different shapes")
    params = {"scale": source.scale, "count": source.size, "in_zero": source.zero_point}
    lowering.add(layer, "mltk_dequantize_s8_f32", params, [source], [output])
