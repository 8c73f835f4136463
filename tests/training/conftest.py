"""One trained model for all tests that only look at it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from training_models import write_data_set, write_specification


@dataclass(frozen=True)
class Trained:
    """A finished training."""

    folder: Path
    dataset: Path
    specification: Path
    archive: Path
    results: Any


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trained]:
    """Train the model of `training_models` once."""
    pytest.importorskip("tensorflow", reason="the extra 'train' is not installed")
    from mltk.training.train import train_model

    folder = tmp_path_factory.mktemp("trained")
    dataset = write_data_set(folder / "data")
    specification = write_specification(folder, dataset)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLTK_CACHE_DIR", str(folder / "cache"))
        results = train_model(str(specification), epochs=6, seed=5)
        yield Trained(folder, dataset, specification, folder / "tones.mltk.zip", results)
