"""The export clone: the same weights in layers that become the kernels of a microcontroller.

Some Keras layers export to several small ops, or not at all, where the device has one kernel. The model is
trained with the stock layers; before conversion it is cloned with these layers swapped, weights shared.
Source: keras-export.md.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mltk.utils.errors import TrainingError


class _StaticReshape(keras.layers.Layer):  # type: ignore[misc]
    """Flatten to [-1, n] with n known now: one RESHAPE op, without the SHAPE/STRIDED_SLICE/PACK of a dynamic
    shape.
    """

    def __init__(self, n_values: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.n_values = n_values

    def call(self, inputs: Any) -> Any:
        return tf.reshape(inputs, [-1, self.n_values])

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, int]:
        return (input_shape[0], self.n_values)


def _export_flatten(layer: Any) -> Any:
    n_values = int(np.prod(layer.input.shape[1:]))
    return _StaticReshape(n_values, name=layer.name)


# Layer class -> function that gives the layer to export in its place. Later swaps (LayerNormalization, LSTM)
# go in here.
EXPORT_LAYERS: dict[type, Callable[[Any], Any]] = {keras.layers.Flatten: _export_flatten}


def export_clone(keras_model: Any) -> Any:
    """Return a copy of a built model with the layers of `EXPORT_LAYERS` swapped; all weights are shared.

    Raises:
        TrainingError: the model is not built yet, or has dimensions of unknown size besides the batch.

    """
    if not keras_model.built:
        raise TrainingError(f"The Keras model {keras_model.name} is not built: give it an input shape")
    for tensor in keras_model.inputs:
        if any(size is None for size in tensor.shape[1:]):
            raise TrainingError(
                f"The input of {keras_model.name} has the shape {tuple(tensor.shape)}: a microcontroller "
                "needs all sizes "
                "but the batch's to be fixed"
            )

    def swap(layer: Any) -> Any:
        export = EXPORT_LAYERS.get(type(layer))
        return export(layer) if export else layer

    return keras.models.clone_model(keras_model, clone_function=swap)
