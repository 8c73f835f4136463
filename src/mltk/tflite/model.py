"""`TfliteModel`: look into a .tflite file and run it, without TensorFlow."""

import functools
import os
from collections.abc import Callable
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from mltk.tflite import schema
from mltk.tflite.checks import GraphError, check_graph
from mltk.tflite.cost import count_macs, count_ops
from mltk.tflite.interpreter import LiteInterpreter
from mltk.tflite.layers import TfliteLayer, TfliteTensor, config_text, opcode_name, read_options, read_tensor
from mltk.tflite.operators import check_runnable
from mltk.tflite.parameters import TfliteModelParameters
from mltk.tflite.runner import LiteRunner
from mltk.tflite.summary import file_size, layer_table, parameter_lines, with_unit
from mltk.tflite.trial import try_apart
from mltk.tflite.vetting import is_vetted
from mltk.utils.errors import TfliteError
from mltk.utils.files import read_bytes


class TfliteModel:
    """A .tflite file.

    Args:
        flatbuffer_data: the file's bytes.
        path: where they come from, for messages (`source`); None where they come from no file.
        reference_kernels: predict with LiteRT's plain reference kernels instead of the fast ones (XNNPACK).
        n_threads: threads of the kernels.

    Raises:
        TfliteError: the bytes are no .tflite file, or it contradicts itself.

    """

    def __init__(
        self,
        flatbuffer_data: bytes,
        path: str | os.PathLike[str] | None = None,
        reference_kernels: bool = False,
        n_threads: int = 1,
    ) -> None:
        self.flatbuffer_data = bytes(flatbuffer_data)
        self.path = None if path is None else str(path)
        self._reference_kernels = reference_kernels
        self._n_threads = n_threads
        self.source = self.path or "The model"
        self._model = schema.parse(self.flatbuffer_data, self.source)
        try:
            check_graph(self._model)
        except GraphError as error:
            raise TfliteError(f"{self.source} is not a usable .tflite file: {error}; get it again") from error
        self._graph = self._model.subgraphs[0]
        self.tensors = [read_tensor(index, tensor) for index, tensor in enumerate(self._graph.tensors or [])]

    @classmethod
    def load_flatbuffer_file(
        cls, path: str | os.PathLike[str], reference_kernels: bool = False, n_threads: int = 1
    ) -> Self:
        """Read a .tflite file.

        Raises:
            MltkError: there is no such file.
            TfliteError: it is no .tflite file, or it contradicts itself.

        """
        return cls(read_bytes(path, ".tflite model"), path, reference_kernels, n_threads)

    def check(self, check: Callable[[Any], None]) -> None:
        """Apply one of the checks of `checks` and `operators` to the whole graph.

        Raises:
            TfliteError: it found a contradiction.

        """
        try:
            check(self._model)
        except GraphError as error:
            raise TfliteError(f"{self.source} is not a usable .tflite file: {error}; get it again") from error

    @property
    def inputs(self) -> list[TfliteTensor]:
        """The graph's inputs; shapes have the batch."""
        return [self.tensors[index] for index in self._graph.inputs]

    @property
    def outputs(self) -> list[TfliteTensor]:
        """The graph's outputs; shapes have the batch."""
        return [self.tensors[index] for index in self._graph.outputs]

    @functools.cached_property
    def layers(self) -> list[TfliteLayer]:
        """The graph's operators in the order of execution."""
        return [
            self._read_layer(index, operator) for index, operator in enumerate(self._graph.operators or [])
        ]

    def _read_layer(self, index: int, operator: Any) -> TfliteLayer:
        name = opcode_name(self._model.operatorCodes[operator.opcodeIndex])
        inputs = tuple(None if i < 0 else self.tensors[i] for i in self._indices(operator.inputs))
        outputs = tuple(self.tensors[i] for i in self._indices(operator.outputs))
        options = read_options(operator)
        return TfliteLayer(
            index=index,
            name=name,
            inputs=inputs,
            outputs=outputs,
            options=options,
            config=config_text(name, options, operator.builtinOptionsType),
            macs=count_macs(name, inputs, outputs),
            ops=count_ops(name, inputs, outputs, options),
        )

    @staticmethod
    def _indices(values: Any) -> list[int]:
        return [] if values is None else [int(value) for value in values]

    @functools.cached_property
    def parameters(self) -> TfliteModelParameters:
        """The settings inside the file; empty where it carries none.

        Raises:
            TfliteError: they are damaged.

        """
        return TfliteModelParameters.find_in_model(self._model) or TfliteModelParameters()

    @property
    def description(self) -> str:
        """What the model says of itself."""
        return str(self.parameters.get("description") or schema.text(self._model.description))

    @property
    def macs(self) -> int:
        """Multiply-accumulate operations of one inference."""
        return sum(layer.macs for layer in self.layers)

    @property
    def ops(self) -> int:
        """Arithmetic operations of one inference (see `cost.py` for the rules)."""
        return sum(layer.ops for layer in self.layers)

    def constant(self, tensor: TfliteTensor) -> npt.NDArray[Any] | None:
        """Return a tensor's constant values in its shape and type, or None where it is computed.

        Raises:
            TfliteError: numpy does not have its type.

        """
        data = self._model.buffers[tensor.buffer].data
        if data is None or len(data) == 0:
            return None
        return np.frombuffer(bytes(data), dtype=tensor.dtype).reshape(tensor.shape)

    def summary(self) -> str:
        """Return the operator table, the total cost, the parameters and the file's size."""
        return "\n".join(
            [
                layer_table(self.layers),
                f"Total MACs: {with_unit(self.macs)}",
                f"Total OPs: {with_unit(self.ops)}",
                *parameter_lines(self.parameters, self.description),
                f".tflite file size: {file_size(len(self.flatbuffer_data))}",
            ]
        )

    def predict(self, x: npt.ArrayLike, y_dtype: npt.DTypeLike | None = None) -> npt.NDArray[Any]:
        """Run one sample, or a batch, and return the first output.

        Args:
            x: one sample in the input's shape without the batch axis, or several with it. Real numbers for a
                quantized input are quantized with its scale and zero point; its own integer type is fed as
                it is.
            y_dtype: an integer type: return the output as the model computes it; else real numbers.

        Returns:
            The output without the batch axis for one sample ([classes]), with it for several ([n, classes]):
            float32, a quantized output dequantized, or `y_dtype`.

        Raises:
            TfliteError: x has the wrong shape or type, or LiteRT refuses.

        """
        values = np.asarray(x)
        single = values.ndim == len(self.inputs[0].shape) - 1
        raw = self._run_batch(values[np.newaxis] if single else values)
        if y_dtype is None:
            result: npt.NDArray[Any] = self.outputs[0].dequantize(raw)
        elif np.dtype(y_dtype).kind in "iu" and raw.dtype.kind in "iu":
            result = raw.astype(y_dtype)
        else:
            result = self.outputs[0].dequantize(raw).astype(y_dtype)
        return result[0] if single else result

    def predict_batch(self, x: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Run many samples [n, ...] and return the first output as float32 [n, ...], a quantized one
        dequantized.

        Raises:
            TfliteError: x has the wrong shape or type, or LiteRT refuses.

        """
        return self.outputs[0].dequantize(self._run_batch(np.asarray(x)))

    def _run_batch(self, x: npt.NDArray[Any]) -> npt.NDArray[Any]:
        values = self._as_input(x)
        return (
            self._runner.run(values) if self.inputs[0].shape[:1] == (1,) else self._runner.run_whole(values)
        )

    @functools.cached_property
    def _runner(self) -> LiteRunner:
        return LiteRunner(self)

    def ensure_runnable(self, engine: str) -> None:
        """Make sure that an interpreter can take the model.

        Args:
            engine: "litert", "reference" or "micro"; see `trial.try_apart`.

        Raises:
            TfliteError: its operators contradict each other, or it crashed a process that tried it.

        """
        self.check(check_runnable)
        if not is_vetted(self.layers):
            try_apart(self.flatbuffer_data, engine, self.source)

    def new_interpreter(self) -> LiteInterpreter:
        """Return LiteRT with this model in it.

        Raises:
            TfliteError: LiteRT can not run it, see `ensure_runnable`.

        """
        self.ensure_runnable("reference" if self._reference_kernels else "litert")
        return LiteInterpreter(self.flatbuffer_data, self._reference_kernels, self._n_threads)

    def _as_input(self, x: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if len(self.inputs) != 1:
            raise TfliteError(
                f"{self.source} has {len(self.inputs)} inputs: predict() serves models with one"
            )
        return as_tensor_values(x, self.inputs[0], self.source)


def as_tensor_values(x: npt.NDArray[Any], tensor: TfliteTensor, source: str) -> npt.NDArray[Any]:
    """Return samples [n, ...] in an input tensor's type.

    Raises:
        TfliteError: their shape or type does not fit; the sentence says what was received.

    """
    if x.ndim != len(tensor.shape) or x.shape[1:] != tensor.shape[1:]:
        expected = "x".join(map(str, tensor.shape[1:]))
        received = "x".join(map(str, x.shape))
        raise TfliteError(
            f"{source} takes samples of shape {expected}, or n x {expected}, but got {received} ({x.dtype})"
        )
    if x.dtype == tensor.dtype:
        return x
    if x.dtype.kind not in "fiub" or (x.dtype.kind != "f" and tensor.dtype.kind != "f"):
        raise TfliteError(f"{source} takes {tensor.type_name} or real numbers, but got {x.dtype}")
    if tensor.dtype.kind == "f":
        return x.astype(tensor.dtype)
    if tensor.scale <= 0:
        raise TfliteError(
            f"{source} takes {tensor.type_name} without a scale: give {tensor.type_name}, not {x.dtype}"
        )
    if not np.isfinite(x).all():
        raise TfliteError(f"{source} can not quantize an input that is infinite or not a number")
    return tensor.quantize(x)
