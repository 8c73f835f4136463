"""Pictures of a classifier's scores: the five PNG plots of the published archives.

The figures are drawn without a display (matplotlib's object interface and its Agg canvas).
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mltk.evaluation.classifier import ClassifierResults
from mltk.utils.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PLOTS = ("confusion_matrix", "fpr", "tpr", "roc", "precision_vs_recall")


def plot_file_names(name: str) -> list[str]:
    """Return the file names of a model's plots."""
    return [f"{name}-{plot}.png" for plot in PLOTS]


def write_plots(results: ClassifierResults, folder: Path) -> list[Path]:
    """Write NAME-{confusion_matrix,fpr,tpr,roc,precision_vs_recall}.png into a folder.

    Returns:
        The files.

    Raises:
        MltkError: the folder can not be written.

    """
    figures = {
        "confusion_matrix": _confusion_matrix(results),
        "fpr": _rate_by_threshold(results, results.fpr, "False positive rate"),
        "tpr": _rate_by_threshold(results, results.tpr, "True positive rate"),
        "roc": _roc(results),
        "precision_vs_recall": _precision_recall(results),
    }
    paths = []
    for plot, file_name in zip(PLOTS, plot_file_names(results.name), strict=True):
        with replacing(folder / file_name) as temporary:
            figures[plot].savefig(temporary, format="png", dpi=100)
        paths.append(folder / file_name)
    return paths


def _axes(
    title: str, x_label: str, y_label: str, width: float = 7.0, height: float = 5.25
) -> "tuple[Figure, Axes]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    return figure, axes


def _label(name: str) -> str:
    """Return a class's name for a legend: matplotlib hides labels that start with an underscore."""
    return name.strip("_") or name


def _confusion_matrix(results: ClassifierResults) -> "Figure":
    """Draw counts, coloured by the share of the true class, so that small classes can be read too."""
    counts = np.array(results.confusion_matrix)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = max(5.0, 1.5 + 0.8 * len(results.classes))
    figure, axes = _axes(f"Confusion matrix: {results.name}", "Predicted class", "True class", size + 1, size)
    image = axes.imshow(shares, vmin=0.0, vmax=1.0, cmap="Blues")
    figure.colorbar(image, ax=axes, label="Share of the true class", shrink=0.8)
    ids = range(len(results.classes))
    axes.set_xticks(list(ids), results.classes, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(list(ids), results.classes)
    for row in ids:
        for column in ids:
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour)
    return figure


def _unit_square(axes: "Axes") -> None:
    axes.set_xlim(0.0, 1.0)
    axes.set_ylim(0.0, 1.02)
    axes.grid(True, alpha=0.4)
    axes.legend(loc="best")


def _rate_by_threshold(results: ClassifierResults, rates: list[list[float]], what: str) -> "Figure":
    figure, axes = _axes(f"{what} by threshold: {results.name}", "Detection threshold", what)
    for name, rate in zip(results.classes, rates, strict=True):
        axes.plot(results.roc_thresholds, rate, label=_label(name))
    _unit_square(axes)
    return figure


def _roc(results: ClassifierResults) -> "Figure":
    figure, axes = _axes(f"ROC: {results.name}", "False positive rate", "True positive rate")
    for name, fpr, tpr, auc in zip(results.classes, results.fpr, results.tpr, results.roc_auc, strict=True):
        axes.plot(fpr, tpr, label=f"{_label(name)}: AUC {auc:.4f}")
    axes.plot([], [], " ", label=f"average AUC {results.roc_auc_avg:.4f}")
    _unit_square(axes)
    return figure


def _precision_recall(results: ClassifierResults) -> "Figure":
    figure, axes = _axes(f"Precision by recall: {results.name}", "Recall", "Precision")
    for name, precision, recall in zip(results.classes, results.precision, results.recall, strict=True):
        axes.plot(recall, precision, label=_label(name))
    _unit_square(axes)
    return figure
