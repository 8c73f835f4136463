"""Many samples through LiteRT, in batches where a batch gives what its samples give one by one."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mltk.utils.errors import TfliteError

if TYPE_CHECKING:
    from mltk.tflite.interpreter import LiteInterpreter
    from mltk.tflite.model import TfliteModel

# Samples that run through the graph at once: enough to spread the costs of a call (64 are no faster), few enough that
# a detector's blocks fill batches.
BATCH = 16


class LiteRunner:
    """A model with one input, ready to run samples; it belongs to one thread.

    Whether samples run together or one by one shows in the time only: the values are the same, bit for bit.

    Args:
        model: the model; its input takes one sample, a graph with a free batch any number.

    Raises:
        TfliteError: LiteRT can not run the model.

    """

    def __init__(self, model: "TfliteModel") -> None:
        self._model = model
        self._shape = model.inputs[0].shape
        self._single = model.new_interpreter()
        self._batches: LiteInterpreter | None = None
        self._batches_were_tried = False

    def run(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Run samples and return the first output.

        Args:
            values: [n, ...] in the input's type, each with as many values as the input.

        Returns:
            [n, ...] in the output's own type.

        Raises:
            TfliteError: LiteRT refuses.

        """
        if len(values) >= BATCH and not self._batches_were_tried:
            self._batches_were_tried = True
            self._batches = self._try_batches(values[:BATCH])
        batches = self._batches
        results = []
        whole = 0 if batches is None else len(values) // BATCH * BATCH
        for start in range(0, whole, BATCH):
            assert batches is not None
            results.append(self._together(batches, values[start : start + BATCH]))
        results += [self._alone(value) for value in values[whole:]]
        if not results:
            output = self._model.outputs[0]
            return np.empty((0, *output.shape[1:]), output.dtype)
        return np.concatenate(results)

    def run_whole(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Run a graph that has its own number of samples; return the first output.

        Raises:
            TfliteError: LiteRT refuses.

        """
        return self._single.run(values)[0]

    def _together(self, batches: "LiteInterpreter", values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return batches.run(values.reshape(BATCH, *self._shape[1:]))[0]

    def _alone(self, value: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return self._single.run(value.reshape(self._shape))[0]

    def _try_batches(self, samples: npt.NDArray[Any]) -> "LiteInterpreter | None":
        """Return an interpreter for batches if it computes the first and the last sample as they are alone."""
        inputs, outputs = self._model.inputs, self._model.outputs
        free = inputs[0].shape_signature[:1] == (-1,) and outputs[0].shape_signature[:1] == (-1,)
        # A state would go from sample to sample.
        if not free or any(tensor.is_variable for tensor in self._model.tensors):
            return None
        interpreter = self._model.new_interpreter()
        try:
            interpreter.resize_batch(BATCH)
            together = self._together(interpreter, samples)
        except TfliteError:  # such as a reshape to a fixed batch of 1, whatever the signature says
            return None
        same = len(together) == BATCH and all(
            together[place].tobytes() == self._alone(samples[place]).tobytes() for place in (0, BATCH - 1)
        )
        return interpreter if same else None
