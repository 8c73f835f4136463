"""LiteRT (`ai_edge_litert`), kept to what `TfliteModel` needs of it: arrays in, arrays out, one error."""

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from mltk.tflite.convert_quiet import quiet_native
from mltk.utils.errors import TfliteError
from mltk.utils.logging import get_mltk_logger


@contextlib.contextmanager
def _native_messages_to_log() -> Iterator[None]:
    """Send what LiteRT prints to the package's logger (DEBUG): its delegate is no news to a user."""
    with quiet_native() as captured:
        yield
    for line in captured.text.splitlines():
        get_mltk_logger().debug("LiteRT: %s", line)


class LiteInterpreter:
    """A model that was checked, ready to run.

    Args:
        data: the .tflite file's bytes.
        reference_kernels: use the plain reference kernels (slow, the arithmetic of the specification)
            instead of XNNPACK's.
        n_threads: threads of the kernels.
        keep_every_tensor: keep what is computed on the way to the outputs, for `tensor`; takes memory.

    Raises:
        TfliteError: LiteRT refuses the model.

    """

    def __init__(
        self,
        data: bytes,
        reference_kernels: bool = False,
        n_threads: int = 1,
        keep_every_tensor: bool = False,
    ) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        resolver = OpResolverType.BUILTIN_REF if reference_kernels else OpResolverType.AUTO
        with _errors("load the model"), _native_messages_to_log():
            self._interpreter: Any = Interpreter(
                model_content=data,
                experimental_op_resolver_type=resolver,
                num_threads=n_threads,
                experimental_preserve_all_tensors=keep_every_tensor,
            )
            self._interpreter.allocate_tensors()
            self._inputs = self._interpreter.get_input_details()
            self._outputs = self._interpreter.get_output_details()

    def resize_batch(self, batch: int) -> None:
        """Make the first input take `batch` samples.

        Raises:
            TfliteError: the graph does not allow it.

        """
        shape = [batch, *(int(size) for size in self._inputs[0]["shape"][1:])]
        with _errors(f"run {batch} samples at once"), _native_messages_to_log():
            self._interpreter.resize_tensor_input(self._inputs[0]["index"], shape, strict=True)
            self._interpreter.allocate_tensors()

    def run(self, *values: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """Return all outputs for the inputs; variable tensors (an LSTM's state) start from zero each time.

        Raises:
            TfliteError: LiteRT refuses.

        """
        with _errors("run the model"):
            self._interpreter.reset_all_variables()
            for details, value in zip(self._inputs, values, strict=True):
                self._interpreter.set_tensor(details["index"], np.ascontiguousarray(value))
            self._interpreter.invoke()
            return [self._interpreter.get_tensor(details["index"]) for details in self._outputs]

    def tensor(self, index: int) -> npt.NDArray[Any]:
        """Return a copy of a tensor's values after `run`; needs `keep_every_tensor`.

        Raises:
            TfliteError: it was not kept.

        """
        with _errors("give a tensor's values"):
            return np.array(self._interpreter.get_tensor(index))


@contextlib.contextmanager
def _errors(action: str) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, ValueError, IndexError) as error:
        reason = " ".join(str(error).split())
        raise TfliteError(f"LiteRT can not {action}: {reason}") from error
