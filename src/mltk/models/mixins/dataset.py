"""Data that a user's own code loads."""

import inspect
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from mltk.models.base import ModelBase
from mltk.models.dataset import LoadedDataset, MltkDataset, balanced_weights, loaded_from
from mltk.utils.errors import ModelError
from mltk.utils.logging import get_mltk_logger


class DatasetMixin(ModelBase):
    """A data set that `dataset.load_dataset(subset, test)` loads.

    Attributes:
        dataset: an `MltkDataset`, or a module with a function `load_dataset`.
        input_shape: shape of one sample, without the batch axis.
        class_mode: 'categorical' (one-hot labels), 'sparse' or 'binary'.
        class_weights: 'balanced', None, or class -> weight (class: label or index).
        class_counts: subset -> class -> number of samples; the data set fills it.

    """

    dataset: Any = None
    class_mode: str = "categorical"
    class_weights: str | dict[Any, float] | None = None
    class_counts: defaultdict[str, dict[str, int]]
    _input_shape: tuple[int, ...] | None = None
    _loaded: LoadedDataset | None = None

    def __init__(self) -> None:
        super().__init__()
        self.class_counts = defaultdict(dict)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample, without the batch axis.

        Raises:
            ModelError: it was not set.

        """
        if self._input_shape is None:
            raise ModelError(
                f"The model {self.name} has no input_shape: set it, such as input_shape = (49, 40, 1)"
            )
        return self._input_shape

    @input_shape.setter
    def input_shape(self, value: tuple[int, ...]) -> None:
        self._input_shape = value

    def load_dataset(
        self,
        subset: str = "training",
        test: bool = False,
        dataset_dir: str | None = None,
        seed: int = 42,
        max_samples_per_class: int | None = None,
    ) -> LoadedDataset:
        """Load the data to train or to evaluate with.

        Args:
            subset: 'training' (gives training and validation batches) or 'evaluation' (validation batches
                only).
            test: a dry run, few samples.
            dataset_dir: a folder to take the data from instead, for data sets that take one.
            seed: seeds whatever is random here.
            max_samples_per_class: upper limit, for data sets that take one.

        Raises:
            ModelError: there is no data set, or it returned something else than batches.

        """
        load = getattr(self.dataset, "load_dataset", None)
        if not callable(load):
            raise ModelError(
                f"The model {self.name} has no data set: set its attribute 'dataset' to an "
                "mltk.core.MltkDataset with a load_dataset(subset, test), or to a module with that function"
            )
        wanted = {"dataset_dir": dataset_dir, "seed": seed, "max_samples_per_class": max_samples_per_class}
        accepted = accepted_arguments(
            load, {key: value for key, value in wanted.items() if value is not None}
        )
        if dataset_dir is not None and "dataset_dir" not in accepted:
            raise ModelError(
                f"The data set of the model {self.name} takes no other folder: "
                "its load_dataset has no argument 'dataset_dir'"
            )
        arguments = {"subset": subset, "test": test or self.test_mode_enabled, **accepted}
        try:
            loaded = loaded_from(load(**arguments), subset, self.batch_size, seed)
            weights = self._weights_by_index()
        except BaseException:
            self.unload_dataset()  # it may have started workers before it failed
            raise
        return self._keep(LoadedDataset(loaded.training, loaded.validation, self.class_counts, weights))

    def unload_dataset(self) -> None:
        """End the worker processes and free what the data set holds."""
        loaded, self._loaded = self._loaded, None
        try:
            if loaded is not None:
                loaded.close()
        finally:
            unload = getattr(self.dataset, "unload_dataset", None)
            if callable(unload):
                unload()

    def summarize_dataset(self) -> str:
        """Return a text with the number of samples of each class."""
        summarize = getattr(self.dataset, "summarize_dataset", None)
        text = summarize() if callable(summarize) else ""
        return str(text or MltkDataset.summarize_class_counts(self.class_counts))

    def _keep(self, loaded: LoadedDataset) -> LoadedDataset:
        self._loaded = loaded
        return loaded

    def _weights_by_index(self) -> dict[int, float] | None:
        if isinstance(self.class_weights, Mapping):
            return _by_index(self.class_weights, self.classes)
        if self.class_weights is None:
            return None
        counts = self.class_counts.get("training", {})
        if not counts:
            get_mltk_logger().warning(
                "The classes of %s are not balanced: its data set does not fill class_counts['training']",
                self.name,
            )
            return None
        return balanced_weights(counts, self.classes)


def accepted_arguments(function: Callable[..., Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """Keep the arguments that a user's function names; **kwargs alone promises nothing about them."""
    parameters = inspect.signature(function).parameters
    return {name: value for name, value in wanted.items() if name in parameters}


def _by_index(weights: Mapping[Any, float], classes: list[str]) -> dict[int, float]:
    found = {}
    for key, weight in weights.items():
        index = classes.index(key) if key in classes else key
        if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < len(classes):
            raise ModelError(
                f"class_weights has {key!r}, which is no class: the classes are {', '.join(classes)}"
            )
        found[index] = float(weight)
    return {index: found.get(index, 1.0) for index in range(len(classes))}
