"""The export clone: the same weights in layers that become the kernels of a microcontroller.

Some Keras layers export to several small ops, or not at all, where the device has one kernel. The model is
trained with the stock layers; before conversion it is cloned with these layers swapped, weights shared.
Source: keras-export.md.
"""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from mltk.tflite import convert_recurrent as recurrent
from mltk.utils.errors import TrainingError


class _StaticReshape(keras.layers.Layer):  # type: ignore[misc]
    """Reshape to [-1, *sizes] with the sizes known now: one RESHAPE op, without the SHAPE/STRIDED_SLICE/PACK of
    a dynamic shape.
    """

    def __init__(self, sizes: tuple[int, ...], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sizes = sizes

    def call(self, inputs: Any) -> Any:
        return tf.reshape(inputs, [-1, *self.sizes])

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (input_shape[0], *self.sizes)


def _export_reshape(layer: Any) -> Any:
    return _StaticReshape(tuple(map(int, layer.output.shape[1:])), name=layer.name)


# Layer class -> function that gives the layer to export in its place. A layer of our own that has a method
# `export_layer()` gives its stand-in itself.
EXPORT_LAYERS: dict[type, Callable[[Any], Any]] = {
    keras.layers.Flatten: _export_reshape,
    keras.layers.Reshape: _export_reshape,
    keras.layers.LayerNormalization: recurrent.export_layer_normalization,
    keras.layers.LSTM: recurrent.export_lstm,
}
# The stand-ins of these know one sample at a time.
_ONE_SAMPLE = (keras.layers.LayerNormalization, keras.layers.LSTM)


def export_clone(keras_model: Any) -> Any:
    """Return a copy of a built model with the layers of `EXPORT_LAYERS` swapped; all weights are shared.

    Raises:
        TrainingError: the model is not built yet, is no graph of layers (a subclass of keras.Model), has
            dimensions of unknown size besides the batch, or a recurrent layer that can not be exported.

    """
    if not isinstance(keras_model, keras.Sequential) and not hasattr(keras_model, "operations"):
        raise TrainingError(
            f"The Keras model {keras_model.name} is a {type(keras_model).__name__}: build it as "
            "keras.Sequential or as keras.Model(inputs, outputs), so that its layers are known"
        )
    if not keras_model.built:
        raise TrainingError(f"The Keras model {keras_model.name} is not built: give it an input shape")
    for tensor in keras_model.inputs:
        if any(size is None for size in tensor.shape[1:]):
            raise TrainingError(
                f"The input of {keras_model.name} has the shape {tuple(tensor.shape)}: a microcontroller "
                "needs all sizes "
                "but the batch's to be fixed"
            )

    _refuse_hidden_loops(keras_model)

    def swap(layer: Any) -> Any:
        if hasattr(layer, "export_layer"):
            return layer.export_layer()
        export = EXPORT_LAYERS.get(type(layer))
        if export is None:
            recurrent.refuse_loops(layer)
        return export(layer) if export else layer

    inputs = None
    if any(type(layer) in _ONE_SAMPLE for layer in keras_model.layers):
        # A Sequential model that was not called yet has `inputs`, but no `input`.
        given = keras_model.inputs[0] if isinstance(keras_model, keras.Sequential) else keras_model.input
        inputs = keras.tree.map_structure(_one_sample, given)
    return keras.models.clone_model(keras_model, input_tensors=inputs, clone_function=swap)


def _one_sample(tensor: Any) -> Any:
    return keras.Input(batch_shape=(recurrent.BATCH, *tensor.shape[1:]), dtype=tensor.dtype, name=tensor.name)


def _refuse_hidden_loops(model: Any) -> None:
    """Refuse a recurrent layer inside a layer: what is in there is not swapped."""
    for outer in model.layers:
        for layer in _inner_layers(outer):
            if isinstance(layer, recurrent.LOOPING):
                raise TrainingError(
                    f"The recurrent layer {layer.name} is inside {outer.name} ({type(outer).__name__}): use it "
                    "in the model itself, so that it can be exported"
                )


def _inner_layers(layer: Any) -> list[Any]:
    """Return the layers inside a model or a wrapper such as TimeDistributed, and those inside them."""
    inner = [*getattr(layer, "layers", []), *([layer.layer] if hasattr(layer, "layer") else [])]
    return inner + [deeper for item in inner for deeper in _inner_layers(item)]
