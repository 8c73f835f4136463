"""The pictures: written whole, named as in the archives, whatever the classes are."""

from pathlib import Path

import numpy as np
import pytest

from mltk.evaluation.classifier import score_classifier
from mltk.evaluation.plots import PLOTS, plot_file_names, write_plots


@pytest.mark.parametrize("truth", [[0, 1, 2, 0], [0, 0, 0, 0]], ids=["all classes", "one class only"])
def test_plots(tmp_path: Path, truth: list[int]) -> None:
    from matplotlib.image import imread

    scores = np.random.default_rng(0).dirichlet(np.ones(3), len(truth))
    results = score_classifier("my_model", ["yes", "_unknown_", "_silence_"], np.array(truth), scores)
    paths = write_plots(results, tmp_path)
    assert [path.name for path in paths] == [f"my_model-{plot}.png" for plot in PLOTS]
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(plot_file_names("my_model"))
    for path in paths:
        picture = imread(path)[..., :3]
        assert picture.shape[0] > 300
        assert 0.005 < np.mean(picture.min(axis=2) < 0.9) < 0.9, "neither empty nor black"


def test_many_classes_fit_into_the_confusion_matrix(tmp_path: Path) -> None:
    from matplotlib.image import imread

    classes = [f"word{index}" for index in range(30)]
    results = score_classifier("wide", classes, np.arange(30), np.eye(30))
    (path, *_) = write_plots(results, tmp_path)
    assert imread(path).shape[1] > 2000
