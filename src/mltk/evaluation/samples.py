"""Labelled features in memory: what a model is scored on, and what its ranges are measured on for int8."""

import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mltk.utils.errors import TrainingError
from mltk.utils.files import replacing


@dataclass(frozen=True)
class Samples:
    """Labelled features.

    Attributes:
        x: features [n, ...] in the data set's dtype (int8 where the device computes int8).
        y: labels, [n, n_classes] one-hot or [n] class ids.

    """

    x: NDArray[Any]
    y: NDArray[Any]

    def __len__(self) -> int:
        return len(self.x)

    @property
    def class_ids(self) -> NDArray[np.int64]:
        """Class ids [n]."""
        one_hot = self.y.ndim == 2 and self.y.shape[1] > 1
        ids: NDArray[Any] = self.y.argmax(axis=1) if one_hot else self.y.reshape(len(self.y))
        return ids.astype(np.int64)

    def at_most(self, per_class: int) -> "Samples":
        """Return the first `per_class` samples of each class; all of them with -1."""
        if per_class < 0:
            return self
        seen: dict[int, int] = {}
        kept = []
        for index, class_id in enumerate(self.class_ids.tolist()):
            seen[class_id] = seen.get(class_id, 0) + 1
            if seen[class_id] <= per_class:
                kept.append(index)
        return Samples(self.x[kept], self.y[kept])

    def spread(self, limit: int) -> NDArray[Any]:
        """Return at most `limit` features, spread evenly over the samples."""
        if len(self.x) <= limit:
            return self.x
        return self.x[np.linspace(0, len(self.x) - 1, limit).astype(np.int64)]

    def save(self, path: Path, run: str) -> None:
        """Write the samples of one training run to a file, whole or not at all."""
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, x=self.x, y=self.y, run=np.array(run))

    @classmethod
    def load(cls, path: Path, run: str) -> "Samples | None":
        """Read what `save` wrote; None where there is no file, or one of another run, or a damaged one."""
        if not run or not path.is_file():
            return None
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                if str(archive["run"]) != run:
                    return None
                samples = cls(archive["x"], archive["y"])
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None  # a cache: what can not be read is made again
        return samples if len(samples.x) == len(samples.y) else None


def collect(batches: Iterable[Any]) -> Samples:
    """Read one epoch of batches into memory.

    Raises:
        TrainingError: there is no batch, or a batch is not (x, y).

    """
    xs, ys = [], []
    for batch in batches:
        x, y = split_batch(batch)
        xs.append(np.array(x))  # a copy: the feed may use its buffers again
        ys.append(np.array(y))
    if not xs:
        raise TrainingError(
            "The data set gave no samples to measure with: add recordings, or raise validation_split"
        )
    return Samples(np.concatenate(xs), np.concatenate(ys))


def split_batch(batch: Any) -> tuple[Any, Any]:
    """Return (x, y) of a batch; sample weights behind them are dropped.

    Raises:
        TrainingError: it is not a tuple of features and labels.

    """
    if not isinstance(batch, tuple | list) or len(batch) < 2:
        raise TrainingError(
            f"The data set gave a {type(batch).__name__} where a batch (features, labels) was expected"
        )
    return batch[0], batch[1]
