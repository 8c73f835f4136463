"""Stand-ins for LayerNormalization and LSTM that the converter turns into a microcontroller's operators.

The stock layers of Keras 3 become a loop that the converter can not quantize: it kills the process. These compute
the same from the same weights, in the form that the converter knows. They are only ever in an export clone
(`convert_clone.py`), whose batch is 1. Source: keras-export.md.
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mltk.utils.errors import TrainingError

BATCH = 1
# Layers that become a loop. LSTM has a stand-in; the others are told before the converter dies of them.
LOOPING = (keras.layers.RNN, keras.layers.Bidirectional)


class _FusedLayerNormalization(keras.layers.Layer):  # type: ignore[misc]
    """Layer normalization over the last axis by way of a batch normalization of the transposed values.

    Args:
        trained: the layer that holds gamma, beta and epsilon.

    """

    def __init__(self, trained: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.trained = trained

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """Return the normalized values, shape and type of `inputs`."""
        channels = int(inputs.shape[-1])
        rows = int(np.prod(inputs.shape[:-1]))
        values = tf.reshape(inputs, [1, rows, channels, 1])
        normalized, _, _ = tf.compat.v1.nn.fused_batch_norm(
            values,
            scale=tf.ones([rows]),
            offset=tf.zeros([rows]),
            epsilon=self.trained.epsilon,
            data_format="NCHW",  # the rows are the "channels", each with its own mean and variance
            is_training=True,
        )
        result = tf.reshape(normalized, list(inputs.shape))
        if self.trained.scale:
            result = result * tf.convert_to_tensor(self.trained.gamma)
        if self.trained.center:
            result = result + tf.convert_to_tensor(self.trained.beta)
        return result

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the input's shape."""
        return input_shape


class _FusedLstm(keras.layers.Layer):  # type: ignore[misc]
    """An LSTM in a function whose attributes tell the converter that it is one.

    It becomes one UNIDIRECTIONAL_SEQUENCE_LSTM, its state in variable tensors. That operator clips the cell state
    to -10..10, which Keras does not.

    Args:
        trained: the layer that holds the weights.

    """

    def __init__(self, trained: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.trained = trained
        self._function = tf.function(
            _lstm,
            autograph=False,
            experimental_attributes={
                # The name must differ from LSTM to LSTM of a model; that it is the same in each conversion makes
                # the conversions equal.
                "api_implements": f"lstm_{trained.name}",
                "api_preferred_device": "CPU",
                "time_major": False,
                "go_backwards": False,
            },
        )

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """Return the outputs: [1, steps, units], or [1, units] without return_sequences."""
        cell = self.trained.cell
        zeros = tf.zeros([BATCH, cell.units])
        bias = tf.convert_to_tensor(cell.bias) if cell.use_bias else tf.zeros([4 * cell.units])
        kernel, recurrent = tf.convert_to_tensor(cell.kernel), tf.convert_to_tensor(cell.recurrent_kernel)
        last, outputs, _, _, _ = self._function(inputs, zeros, zeros, kernel, recurrent, bias)
        return outputs if self.trained.return_sequences else last

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of `call`'s result."""
        steps = (input_shape[1],) if self.trained.return_sequences else ()
        return (input_shape[0], *steps, self.trained.cell.units)


def _lstm(inputs: Any, h0: Any, c0: Any, kernel: Any, recurrent_kernel: Any, bias: Any) -> tuple[Any, ...]:
    """Run the standard cell over all steps; the order of arguments and results is what the converter expects.

    Args:
        inputs: [batch, steps, features], float32.
        h0: first output [batch, units].
        c0: first cell state [batch, units].
        kernel: [features, 4 units]: input, forget, cell and output gate.
        recurrent_kernel: [units, 4 units].
        bias: [4 units].

    Returns:
        The last output, all outputs [batch, steps, units], the last output and cell state, and a constant.

    """
    batch, steps, units = inputs.shape[0], inputs.shape[1], h0.shape[1]
    values = tf.TensorArray(tf.float32, size=steps).unstack(tf.transpose(inputs, [1, 0, 2]))
    outputs = tf.TensorArray(tf.float32, size=steps, element_shape=[batch, units])

    def step(time: Any, outputs: Any, h: Any, c: Any) -> tuple[Any, ...]:
        gates = tf.matmul(values.read(time), kernel) + tf.matmul(h, recurrent_kernel) + bias
        input_gate, forget_gate, candidate, output_gate = tf.split(gates, 4, axis=1)
        c = tf.sigmoid(forget_gate) * c + tf.sigmoid(input_gate) * tf.tanh(candidate)
        h = tf.sigmoid(output_gate) * tf.tanh(c)
        return time + 1, outputs.write(time, h), h, c

    _, outputs, h, c = tf.while_loop(
        lambda time, *_: time < steps, step, (tf.constant(0), outputs, h0, c0), parallel_iterations=1
    )
    return h, tf.transpose(outputs.stack(), [1, 0, 2]), h, c, tf.constant(0.0)


def export_layer_normalization(layer: Any) -> Any:
    """Return the layer to export for a LayerNormalization; itself where it is not over the last axis alone."""
    axes = [layer.axis] if isinstance(layer.axis, int) else list(layer.axis)
    last = len(layer.input.shape) - 1
    if [axis % (last + 1) for axis in axes] != [last] or getattr(layer, "rms_scaling", False):
        return layer
    return _FusedLayerNormalization(layer, name=layer.name)


def export_lstm(layer: Any) -> Any:
    """Return the layer to export for an LSTM.

    Raises:
        TrainingError: it has a setting that the operator UNIDIRECTIONAL_SEQUENCE_LSTM does not have.

    """
    activations = (
        keras.activations.serialize(layer.activation),
        keras.activations.serialize(layer.recurrent_activation),
    )
    reasons = {
        f"its activations are {activations[0]} and {activations[1]}": activations != ("tanh", "sigmoid"),
        "it goes backwards": layer.go_backwards,
        "it keeps its state between batches (stateful)": layer.stateful,
        "it returns its state (return_state)": layer.return_state,
    }
    for reason, applies in reasons.items():
        if applies:
            raise TrainingError(
                f"The LSTM {layer.name} can not be exported: {reason}; the operator of a microcontroller has the "
                "activations tanh and sigmoid, runs forwards, and starts each inference from zero"
            )
    return _FusedLstm(layer, name=layer.name)


def refuse_loops(layer: Any) -> None:
    """Refuse a recurrent layer that has no stand-in, and a mask of time steps.

    Raises:
        TrainingError: it is one of these.

    """
    if isinstance(layer, keras.layers.Masking) or getattr(layer, "mask_zero", False):
        raise TrainingError(
            f"The layer {layer.name} makes a mask of time steps, which no operator of a microcontroller takes: leave "
            "it out"
        )
    if isinstance(layer, LOOPING):
        raise TrainingError(
            f"The layer {layer.name} ({type(layer).__name__}) can not be exported: of the recurrent layers a "
            "microcontroller has LSTM alone"
        )
