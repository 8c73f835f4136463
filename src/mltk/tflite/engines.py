"""The engines that run a .tflite on this machine, by name.

"litert" is the fast one. "tflm" is TensorFlow Lite Micro, what a device computes, on Linux. "native" are mltk's own
kernels, the C files that `mltk compile` puts onto a chip: the same results as "tflm", bit for bit, on every machine.
"""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from mltk.tflite.model import TfliteModel, as_tensor_values
from mltk.tflite.runner import LiteRunner
from mltk.utils.errors import TfliteError

ENGINES = ("litert", "tflm", "native")

# Samples [n, ...] -> first output [n, ...].
Run = Callable[[npt.NDArray[Any]], npt.NDArray[Any]]


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
    if engine == "litert":
        return model.new_interpreter()
    if engine == "tflm":
        from mltk.tflite.micro import MicroInterpreter

        # It is C++ that trusts a file: what is not known to be sound is tried in another process.
        model.ensure_runnable("micro")
        return MicroInterpreter(model.flatbuffer_data)
    if engine == "native":
        from mltk.tflite.plan.engine import NativeModel

        return NativeModel(model)
    raise TfliteError(f"Engine {engine!r} is unknown: use {', '.join(ENGINES[:-1])} or {ENGINES[-1]}")


def load_runner(model: TfliteModel, engine: str = "litert") -> Run:
    """Return samples [n, ...] -> first output [n, ...], both in the tensors' own types, with an engine.

    Args:
        model: a model with one input, which takes one sample. The function belongs to one thread.
        engine: "litert", "tflm" or "native".

    Raises:
        TfliteError: see `load_interpreter`.

    """
    if engine == "litert":
        return LiteRunner(model).run
    interpreter = load_interpreter(model, engine)
    shape, output = model.inputs[0].shape, model.outputs[0]

    def run(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        results = [interpreter.run(value.reshape(shape))[0] for value in values]
        return np.concatenate(results) if results else np.empty((0, *output.shape[1:]), output.dtype)

    return run


def load_predictor(model: TfliteModel, engine: str = "litert") -> Run:
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
    run = load_runner(model, engine)
    if len(model.inputs) != 1 or model.inputs[0].shape[:1] != (1,):
        raise TfliteError(f"{model.source} does not take one sample at a time: use the engine litert")
    return lambda x: model.outputs[0].dequantize(
        run(as_tensor_values(np.asarray(x), model.inputs[0], model.source))
    )
