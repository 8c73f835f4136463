"""Keras model -> .tflite file: the one module of `tflite/` that loads TensorFlow.

TensorFlow's converter is behind `convert` alone, so that a successor can take its place.
Source of what is done and why: keras-export.md.
"""

import contextlib
import io
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mltk.tflite import schema
from mltk.tflite.convert_clone import export_clone
from mltk.tflite.convert_options import ConverterOptions
from mltk.tflite.convert_quiet import quiet_native
from mltk.utils.errors import TrainingError

__all__ = ["ConverterOptions", "convert", "exact_int8_range"]

Representative = Callable[[], Iterator[list[NDArray[np.float32]]]]


def convert(
    keras_model: Any,
    representative: Iterable[NDArray[Any]] | None = None,
    options: ConverterOptions | None = None,
) -> bytes:
    """Convert a Keras model to a .tflite flatbuffer.

    Args:
        keras_model: a built Keras 3 model with one input.
        representative: batches [n, ...] of model inputs that tell the range of every tensor. Batches of dtype
            int8 are the features as the device computes them: the input is then quantized with scale 1.0 and
                zero point 0,
            so that the device feeds them in as they are.
        options: what to convert to; float32 without any.

    Returns:
        The bytes of the .tflite file.

    Raises:
        TrainingError: the model can not be converted; a representative data set is missing, empty or of a
            wrong shape.

    """
    options = options or ConverterOptions()
    samples = _samples(keras_model, representative)
    if options.needs_representative and not samples:
        raise TrainingError(
            f"To convert {keras_model.name} to {options.inference_input_type}, data to measure the ranges on "
            "is needed, "
            "and there is none: the validation data is empty"
        )
    return _convert_with_tensorflow(export_clone(keras_model), samples, options)


def exact_int8_range(samples: NDArray[Any]) -> NDArray[np.float32]:
    """Make int8 features span -128 to 127, so that the converter finds scale 1.0 and zero point 0.

    Only the lowest and the highest value of all samples are moved to the ends of the range: the change that
        is least.

    Args:
        samples: features [n, ...] with values in -128..127, any dtype.

    Returns:
        The features, float32.

    """
    values = samples.astype(np.float32)
    flat = values.reshape(-1)
    lowest, highest = int(flat.argmin()), int(flat.argmax())
    if lowest == highest:  # all values are equal
        lowest, highest = 0, flat.size - 1
    flat[lowest], flat[highest] = -128.0, 127.0
    return values


def _samples(keras_model: Any, representative: Iterable[NDArray[Any]] | None) -> list[NDArray[np.float32]]:
    """Return the representative samples as [1, ...] float32 arrays."""
    batches = [] if representative is None else [np.asarray(batch) for batch in representative]
    batches = [batch for batch in batches if len(batch)]
    if not batches:
        return []
    expected = tuple(keras_model.inputs[0].shape[1:])
    for batch in batches:
        if batch.shape[1:] != expected:
            raise TrainingError(
                f"The representative data has the shape {batch.shape[1:]}, the model {keras_model.name} "
                f"wants {expected}"
            )
    joined = np.concatenate(batches)
    values = exact_int8_range(joined) if joined.dtype == np.int8 else joined.astype(np.float32)
    return list(np.split(values, len(values)))


def _convert_with_tensorflow(
    model: Any, samples: list[NDArray[np.float32]], options: ConverterOptions
) -> bytes:
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize[name] for name in options.optimizations]
    converter.target_spec.supported_ops = [tf.lite.OpsSet[name] for name in options.supported_ops]
    converter.inference_input_type = tf.as_dtype(options.inference_input_type)
    converter.inference_output_type = tf.as_dtype(options.inference_output_type)
    if samples:
        converter.representative_dataset = _generator(samples)
    failure: Exception | None = None
    try:
        # Keras prints about its export; in a notebook standard output is not file descriptor 1.
        with quiet_native() as output, contextlib.redirect_stdout(io.StringIO()):
            data = converter.convert()
    except (tf.errors.OpError, RuntimeError, ValueError, TypeError, AttributeError) as error:
        failure = (
            error  # what the converter raises on a layer that it does not know differs from layer to layer
        )
    if failure is not None:
        reason = str(failure).strip().splitlines() or [output.last_line()]
        raise TrainingError(
            f"TensorFlow can not convert {model.name} to .tflite: {type(failure).__name__}: {reason[0]}"
        ) from failure
    return _without_unused_buffers(bytes(data))


def _without_unused_buffers(data: bytes) -> bytes:
    """Empty the buffers that no tensor has.

    The converter leaves the first state of an LSTM in there, with values that differ from run to run.
    """
    model = schema.parse(data, "The converted model")
    used = {int(tensor.buffer) for graph in model.subgraphs for tensor in graph.tensors}
    used |= {int(entry.buffer) for entry in model.metadata or []}
    unused = [i for i, buffer in enumerate(model.buffers) if i not in used and buffer.data is not None]
    for index in unused:
        model.buffers[index].data = None
    return schema.pack(model) if unused else data


def _generator(samples: list[NDArray[np.float32]]) -> Representative:
    def generate() -> Iterator[list[NDArray[np.float32]]]:
        for sample in samples:
            yield [sample]

    return generate
