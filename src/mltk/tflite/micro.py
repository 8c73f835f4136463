"""TensorFlow Lite Micro on the PC: what the device computes, and how much memory it takes there.

The interpreter is the package `tflite-micro`, which PyPI has for Linux on x86-64 only. Elsewhere `TfliteMicro` runs
mltk's own kernels, which compute the same bit for bit, and its `details` say so; the rest raises one TfliteError.
"""

import os
import re
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from mltk.tflite.convert_quiet import quiet_native
from mltk.tflite.layers import TfliteTensor
from mltk.tflite.model import TfliteModel, as_tensor_values
from mltk.tflite.summary import with_unit
from mltk.tflite.trial import sufficient_arena
from mltk.utils.errors import TfliteError

# The arena is cut to what is used afterwards; a large one costs nothing, and one below some hundred bytes
# crashes TFLM.
_FIRST_ARENA_BYTES = 2**22
_LARGEST_ARENA_BYTES = 2**30
_TOTAL = re.compile(r"Arena allocation total (\d+) bytes")


class MicroInterpreter:
    """The tflite-micro interpreter with errors of one kind; the model must be known to be runnable.

    Args:
        data: the .tflite file's bytes.
        arena_bytes: the tensor arena's size; as large as it has to be where it is None.
        keep_every_tensor: keep what is computed on the way to the outputs, for `tensor`; takes memory, and
            `arena_bytes_used` is not told.

    Raises:
        TfliteError: tflite-micro is not installed, or it refuses the model (an operator that it lacks).

    """

    def __init__(self, data: bytes, arena_bytes: int | None = None, keep_every_tensor: bool = False) -> None:
        runtime = _load_runtime()
        kinds = runtime.InterpreterConfig
        kind = kinds.kPreserveAllTensors if keep_every_tensor else kinds.kAllocationRecording
        self._data = data  # the interpreter keeps a pointer into it
        size = arena_bytes or _FIRST_ARENA_BYTES
        while True:
            with quiet_native() as printed:
                try:
                    self._interpreter: Any = runtime.Interpreter.from_bytes(
                        data, arena_size=size, intrepreter_config=kind
                    )
                    break
                except RuntimeError as error:
                    failure = error
            if arena_bytes or size >= _LARGEST_ARENA_BYTES or "missing:" not in printed.text:
                reason = printed.last_line() or str(failure)
                raise TfliteError(f"TensorFlow Lite Micro can not load the model: {reason}") from failure
            size *= 4

    def run(self, *values: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """Return [the first output]; an LSTM's state starts from zero each time.

        Raises:
            TfliteError: tflite-micro refuses.

        """
        for index, value in enumerate(values):
            self.set_input(index, value)
        self.invoke()
        return [self.output(0)]

    def set_input(self, index: int, value: npt.NDArray[Any]) -> None:
        """Copy an input's values (shape and type of the tensor)."""
        self._call("set_input", np.ascontiguousarray(value), index)

    def invoke(self) -> None:
        """Run the graph from a fresh state."""
        self._call("reset")
        self._call("invoke")

    def output(self, index: int) -> npt.NDArray[Any]:
        """Return a copy of an output."""
        return np.array(self._call("get_output", index))

    def tensor(self, index: int) -> npt.NDArray[Any]:
        """Return a copy of a tensor's values after `invoke`; needs `keep_every_tensor`."""
        return np.array(self._call("GetTensor", index, 0)["tensor_data"])

    def arena_bytes_used(self) -> int:
        """Return how many bytes of the tensor arena the model takes."""
        with quiet_native() as printed:
            self._interpreter.print_allocations()
        found = _TOTAL.search(printed.text)
        if found is None:
            raise TfliteError("TensorFlow Lite Micro did not tell how much memory the model takes")
        return int(found[1])

    def _call(self, name: str, *arguments: Any) -> Any:
        try:
            return getattr(self._interpreter, name)(*arguments)
        except (RuntimeError, ValueError, IndexError) as error:
            raise TfliteError(f"TensorFlow Lite Micro can not run the model: {error}") from error


class KernelInterpreter:
    """mltk's own kernels behind the interface of `MicroInterpreter`.

    Args:
        model: the model.

    Raises:
        TfliteError: it has operators without a kernel; the text lists them.

    """

    def __init__(self, model: TfliteModel) -> None:
        from mltk.tflite.plan.engine import NativeModel

        self._native = NativeModel(model)
        self._inputs = [np.zeros(tensor.shape, tensor.dtype) for tensor in model.inputs]
        self._outputs: list[npt.NDArray[Any]] = [np.zeros(end.shape, end.dtype) for end in model.outputs]

    def set_input(self, index: int, value: npt.NDArray[Any]) -> None:
        """Copy an input's values (shape and type of the tensor)."""
        self._inputs[index] = np.array(value)

    def invoke(self) -> None:
        """Run the graph from a fresh state."""
        self._outputs = self._native.run(*self._inputs)

    def output(self, index: int) -> npt.NDArray[Any]:
        """Return a copy of an output."""
        return self._outputs[index].copy()

    def arena_bytes_used(self) -> int:
        """Return how many bytes of memory the compiled model takes for its tensors."""
        return self._native.plan.arena_bytes


class _Loaded(Protocol):
    """What `TfliteMicroModel` needs of an interpreter."""

    def set_input(self, index: int, value: npt.NDArray[Any]) -> None: ...

    def invoke(self) -> None: ...

    def output(self, index: int) -> npt.NDArray[Any]: ...

    def arena_bytes_used(self) -> int: ...


@dataclass(frozen=True)
class TfliteMicroModelDetails:
    """What a model tells of itself; prints as a readable report.

    Attributes:
        name: the model's name, "unknown" where the file carries none.
        version: its version.
        date: when it was made, ISO 8601.
        hash: MD5 of the file.
        accelerator: the hardware accelerator: always "none" on a PC.
        classes: the labels of the outputs.
        runtime_memory_size: bytes of the tensor arena.
        engine: what runs it: "tflm", or "native" (mltk's own kernels) where tflite-micro is not installed.

    """

    name: str
    version: str
    date: str
    hash: str
    accelerator: str
    classes: tuple[str, ...]
    runtime_memory_size: int
    engine: str = "tflm"

    def __str__(self) -> str:
        return "\n".join(
            [
                f"Name: {self.name}",
                f"Version: {self.version}",
                f"Date: {self.date}",
                f"Hash: {self.hash}",
                f"Accelerator: {self.accelerator}",
                f"Classes: {', '.join(self.classes)}",
                f"Total runtime memory: {with_unit(self.runtime_memory_size)}Bytes",
                *(["Engine: mltk's own kernels (tflite-micro is not installed)"] * (self.engine == "native")),
            ]
        )


class TfliteMicroModel:
    """A model in the TensorFlow Lite Micro interpreter; made by `TfliteMicro.load_tflite_model`."""

    def __init__(self, model: TfliteModel) -> None:
        self.path = model.path
        self.inputs: list[TfliteTensor] = model.inputs
        self.outputs: list[TfliteTensor] = model.outputs
        engine = "tflm" if is_available() else "native"
        if engine == "tflm":
            model.ensure_runnable("micro")
        interpreter: _Loaded = (
            MicroInterpreter(model.flatbuffer_data) if engine == "tflm" else KernelInterpreter(model)
        )
        self._interpreter: _Loaded | None = interpreter
        self._source = model.path or "The model"
        self._values = [np.zeros(tensor.shape, tensor.dtype) for tensor in self.inputs]
        parameters = model.parameters
        self.details = TfliteMicroModelDetails(
            name=str(parameters.get("name", "unknown")),
            version=str(parameters.get("version", "unknown")),
            date=str(parameters.get("date", "unknown")),
            hash=str(parameters.get("hash", "unknown")),
            accelerator="none",
            classes=tuple(map(str, parameters.get("classes", []))),
            runtime_memory_size=interpreter.arena_bytes_used(),
            engine=engine,
        )

    def input(self, index: int = 0, value: npt.ArrayLike | None = None) -> npt.NDArray[Any]:
        """Set an input and return it as the model gets it.

        Args:
            index: which input.
            value: one sample without or with the batch axis. Real numbers are quantized for a quantized
                input. None: the input stays as it is.

        Returns:
            The input tensor [1, ...] in the model's type.

        Raises:
            TfliteError: there is no such input, or the value does not fit it.

        """
        tensor = _pick(self.inputs, index, "input", self._source)
        if value is not None:
            values = np.asarray(value)
            if values.ndim == len(tensor.shape) - 1:
                values = values[np.newaxis]
            values = as_tensor_values(values, tensor, self._source)
            if values.shape != tensor.shape:
                raise TfliteError(f"{self._source} takes one sample at a time here, but got {len(values)}")
            self._values[index] = values
        return self._values[index]

    def invoke(self) -> None:
        """Run one inference on the inputs that were set.

        Raises:
            TfliteError: the interpreter refuses, or the model was unloaded.

        """
        interpreter = self._loaded()
        for index, value in enumerate(self._values):
            interpreter.set_input(index, value)
        interpreter.invoke()

    def output(self, index: int = 0) -> npt.NDArray[Any]:
        """Return an output [1, ...] in the model's type (int8 posteriors of a quantized model stay int8).

        Raises:
            TfliteError: there is no such output, or the model was unloaded.

        """
        _pick(self.outputs, index, "output", self._source)
        return self._loaded().output(index)

    def unload(self) -> None:
        """Give the interpreter's memory back."""
        self._interpreter = None

    def _loaded(self) -> _Loaded:
        if self._interpreter is None:
            raise TfliteError(f"{self._source} was unloaded: load it again")
        return self._interpreter


class TfliteMicro:
    """Loads models into TensorFlow Lite Micro; into mltk's own kernels where tflite-micro is not installed."""

    @staticmethod
    def load_tflite_model(path: str | os.PathLike[str]) -> TfliteMicroModel:
        """Load a .tflite file.

        Raises:
            MltkError: there is no such file.
            TfliteError: the file is damaged, or its operators can not be run here.

        """
        return TfliteMicroModel(TfliteModel.load_flatbuffer_file(path))

    @staticmethod
    def load_flatbuffer(data: bytes) -> TfliteMicroModel:
        """Load a .tflite file's bytes.

        Raises:
            TfliteError: they are damaged, or their operators can not be run here.

        """
        return TfliteMicroModel(TfliteModel(data))

    @staticmethod
    def unload_model(model: TfliteMicroModel) -> None:
        """Give a model's memory back."""
        model.unload()


def arena_size(data: bytes) -> int:
    """Return how many bytes of tensor arena a device has to give a .tflite in TensorFlow Lite Micro.

    It is found in another process (0.4 s), so that a model that crashes TFLM is an error.

    Args:
        data: the .tflite file's bytes.

    Raises:
        TfliteError: the file is damaged, TFLM can not run it, or tflite-micro is not installed.

    """
    _load_runtime()
    TfliteModel(data)
    return sufficient_arena(data, "The model")


def is_available() -> bool:
    """Tell whether tflite-micro is installed."""
    try:
        _load_runtime()
    except TfliteError:
        return False
    return True


def _load_runtime() -> Any:
    try:
        from tflite_micro import runtime
    except ImportError as error:
        raise TfliteError(
            "The package tflite-micro is not here (PyPI has it for Linux on x86-64 only): "
            "use the engine 'native', which computes the same"
        ) from error
    return runtime


def _pick(tensors: list[TfliteTensor], index: int, what: str, source: str) -> TfliteTensor:
    if not 0 <= index < len(tensors):
        raise TfliteError(f"{source} has {len(tensors)} {what}s, no {what} {index}")
    return tensors[index]
