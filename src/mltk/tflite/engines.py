"""The engines that run a .tflite on this machine, by name.

"litert" is the fast one. "tflm" is TensorFlow Lite Micro, what a device computes, on Linux. "native" are mltk's own
kernels, the C files that `mltk compile` puts onto a chip: the same results as "tflm", bit for bit, on every machine.
"""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from mltk.tflite.interpreter import LiteInterpreter
from mltk.tflite.model import TfliteModel, as_tensor_values
from mltk.utils.errors import TfliteError

ENGINES = ("litert", "tflm", "native")

Predict = Callable[[npt.NDArray[Any]], npt.NDArray[Any]]


class Interpreter(Protocol):
    """What runs a graph; an LSTM's state starts from zero each time."""

    def run(self, *values: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """Return the graph's outputs for its inputs, in the tensors' own types."""


def load_interpreter(model: TfliteModel, engine: str = "litert") -> Interpreter:
    """Return an engine with a model in it.

    Args:
        model: the model.
        engine: "litert", "tflm" or "native".

    Raises:
        TfliteError: there is no such engine, it is not installed, or it can not run the model: one sentence that
            lists the operators which it lacks.

    """
    # The interpreters are C++ that trusts a file: what is not known to be sound is tried in another process.
    if engine == "litert":
        model.ensure_runnable("litert")
        return LiteInterpreter(model.flatbuffer_data)
    if engine == "tflm":
        from mltk.tflite.micro import MicroInterpreter

        model.ensure_runnable("micro")
        return MicroInterpreter(model.flatbuffer_data)
    if engine == "native":
        from mltk.tflite.plan.engine import NativeModel

        return NativeModel(model)
    raise TfliteError(f"Engine {engine!r} is unknown: use {', '.join(ENGINES[:-1])} or {ENGINES[-1]}")


def load_predictor(model: TfliteModel, engine: str = "litert") -> Predict:
    """Return samples [n, ...] -> first output [n, ...] as real numbers, with an engine.

    Args:
        model: a model with one input. The function takes its type or real numbers.
        engine: "litert", "tflm" or "native".

    Raises:
        TfliteError: see `load_interpreter`; the model takes more than one sample at a time. The function raises it
            too, where samples have the wrong shape or type.

    """
    if engine == "litert":
        return model.predict_batch
    interpreter = load_interpreter(model, engine)
    if len(model.inputs) != 1 or model.inputs[0].shape[:1] != (1,):
        raise TfliteError(f"{model.source} does not take one sample at a time: use the engine litert")

    def predict(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
        values = as_tensor_values(np.asarray(x), model.inputs[0], model.source)
        output = model.outputs[0]
        results = [interpreter.run(values[place : place + 1])[0] for place in range(len(values))]
        empty = np.empty((0, *output.shape[1:]), output.dtype)
        return output.dequantize(np.concatenate(results) if results else empty)

    return predict
