"""What every operator of a model computes: for looking into a quantized model."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from mltk.tflite.interpreter import LiteInterpreter
from mltk.tflite.layers import TfliteTensor
from mltk.tflite.model import TfliteModel, as_tensor_values


class EveryTensor:
    """A model whose tensors can all be read after an inference.

    It runs on LiteRT's reference kernels, whose int8 arithmetic is that of the device. An LSTM's state starts from
    zero for every sample.

    Args:
        model: the model, with one input.

    Raises:
        TfliteError: LiteRT refuses the model, or crashed on it.

    """

    def __init__(self, model: TfliteModel) -> None:
        model.ensure_runnable("reference")
        self._model = model
        self._source = model.path or "The model"
        self._interpreter = LiteInterpreter(
            model.flatbuffer_data, reference_kernels=True, keep_every_tensor=True
        )

    def run(
        self, samples: npt.NDArray[Any], tensors: Iterable[TfliteTensor]
    ) -> Iterator[list[npt.NDArray[Any]]]:
        """Run samples one after the other.

        Args:
            samples: [n, ...], in the input's type, or real numbers.
            tensors: which tensors to read.

        Yields:
            For each sample the tensors' values, in the order of `tensors` and in their own types.

        Raises:
            TfliteError: the samples do not fit, or LiteRT refuses.

        """
        wanted = [tensor.index for tensor in tensors]
        (tensor,) = self._model.inputs
        for start in range(len(samples)):
            sample = as_tensor_values(np.asarray(samples[start : start + 1]), tensor, self._source)
            self._interpreter.run(sample)
            yield [self._interpreter.tensor(index) for index in wanted]
