"""Samples in memory and on disk."""

from pathlib import Path

import numpy as np
import pytest

from mltk.evaluation.samples import Samples, collect
from mltk.utils.errors import TrainingError


def some(count: int = 10) -> Samples:
    x = np.arange(count * 6, dtype=np.int8).reshape(count, 2, 3, 1)
    return Samples(x, np.eye(2, dtype=np.float32)[np.arange(count) % 2])


def test_collect_copies_what_the_feed_overwrites() -> None:
    buffer = np.zeros((2, 3), np.int8)

    def batches():
        for value in (1, 2):
            buffer[:] = value
            yield buffer, np.eye(2, dtype=np.float32)

    samples = collect(batches())
    assert samples.x.tolist() == [[1] * 3] * 2 + [[2] * 3] * 2
    assert samples.x.dtype == np.int8
    assert samples.class_ids.tolist() == [0, 1, 0, 1]


def test_sparse_and_binary_labels_are_class_ids() -> None:
    x = np.zeros((3, 1), np.int8)
    assert Samples(x, np.array([2.0, 0.0, 1.0])).class_ids.tolist() == [2, 0, 1]
    assert Samples(x, np.array([[1.0], [0.0], [1.0]])).class_ids.tolist() == [1, 0, 1]


def test_at_most_and_spread() -> None:
    samples = some()
    assert samples.at_most(-1) is samples
    assert samples.at_most(2).x[:, 0, 0, 0].tolist() == samples.x[:4, 0, 0, 0].tolist()
    assert samples.spread(3)[:, 0, 0, 0].tolist() == samples.x[[0, 4, 9], 0, 0, 0].tolist()
    assert len(samples.spread(100)) == 10


def test_stored_samples_belong_to_one_run(tmp_path: Path) -> None:
    path = tmp_path / "validation.npz"
    some().save(path, "run1")
    loaded = Samples.load(path, "run1")
    assert loaded is not None
    np.testing.assert_array_equal(loaded.x, some().x)
    np.testing.assert_array_equal(loaded.y, some().y)
    assert loaded.x.dtype == np.int8
    assert Samples.load(path, "run2") is None
    assert Samples.load(path, "") is None
    assert Samples.load(tmp_path / "none.npz", "run1") is None


@pytest.mark.parametrize("cut", [0, 10, 0.5, 0.99])
def test_a_damaged_cache_is_no_samples(tmp_path: Path, cut: float) -> None:
    path = tmp_path / "validation.npz"
    some().save(path, "run1")
    data = path.read_bytes()
    path.write_bytes(data[: int(cut if cut > 1 else cut * len(data))])
    assert Samples.load(path, "run1") is None


def test_refusals() -> None:
    with pytest.raises(TrainingError, match="gave no samples"):
        collect([])
    with pytest.raises(TrainingError, match="ndarray where a batch"):
        collect([np.zeros(3)])
