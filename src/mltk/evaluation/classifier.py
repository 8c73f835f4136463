"""Scores of a classifier: from true classes and posteriors to the figures of `eval-results.json` and
`summary.txt`.

Source: the keys and the text follow the files in the published archives (formats.md, "Model archive"). Curves
and areas are those of scikit-learn: T. Fawcett, An introduction to ROC analysis, 2006.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mltk.utils.errors import TrainingError

N_THRESHOLDS = 101  # 0.00, 0.01 ... 1.00, as the published results have


@dataclass(frozen=True)
class ClassifierResults:
    """The scores of one model on one set of labelled samples. Lists over classes are in the order of
    `classes`.

    All rates are in 0..1. A figure that is not defined, such as the accuracy of a class without samples, is
    NaN (null in JSON).

    Attributes:
        name: the model's name.
        classes: names of the classes.
        overall_accuracy: share of the samples whose highest posterior is that of their class.
        class_accuracies: the same over the samples of each class (recall).
        fpr: per class, false positive rate at each of `roc_thresholds` (posterior >= threshold).
        tpr: per class, true positive rate at each of `roc_thresholds`.
        roc_auc: per class, area under the ROC curve, class against the rest.
        roc_thresholds: 101 thresholds, 0 to 1.
        roc_auc_avg: mean of the defined `roc_auc`.
        precision: per class, precision at each point of the precision/recall curve.
        recall: per class, recall at the same points.
        confusion_matrix: [true class][predicted class] counts.
        model_type: always "classification".

    """

    name: str
    classes: list[str]
    overall_accuracy: float
    class_accuracies: list[float]
    fpr: list[list[float]]
    tpr: list[list[float]]
    roc_auc: list[float]
    roc_thresholds: list[float]
    roc_auc_avg: float
    precision: list[list[float]]
    recall: list[list[float]]
    confusion_matrix: list[list[int]]
    model_type: str = field(default="classification")

    def to_dict(self) -> dict[str, Any]:
        """Return the results as plain values, keyed as `eval-results.json` is."""
        values = asdict(self)
        order = ("name", "model_type", "classes")
        return {key: values[key] for key in (*order, *(key for key in values if key not in order))}

    def to_json(self) -> str:
        """Return the text of `eval-results.json`."""
        return json.dumps(_without_nan(self.to_dict()), allow_nan=False)

    def summary(self) -> str:
        """Return the text of `summary.txt`: accuracy and AUC, classes from best to worst."""
        lines = [
            f"Name: {self.name}",
            f"Model Type: {self.model_type}",
            f"Overall accuracy: {_percent(self.overall_accuracy)}",
            "Class accuracies:",
            *_ranking(self.classes, self.class_accuracies),
            f"Average ROC AUC: {_percent(self.roc_auc_avg)}",
            "Class ROC AUC:",
            *_ranking(self.classes, self.roc_auc),
        ]
        return "\n".join(lines) + "\n"

    def confusion_table(self) -> str:
        """Return the confusion matrix as text: a row per true class, a column per predicted class."""
        cells = [["true \\ predicted", *self.classes, "samples"]]
        for name, row in zip(self.classes, self.confusion_matrix, strict=True):
            cells.append([name, *(str(count) for count in row), str(sum(row))])
        widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
        return "\n".join(
            "  ".join(
                text.ljust(width) if column == 0 else text.rjust(width)
                for column, (text, width) in enumerate(zip(row, widths, strict=True))
            )
            for row in cells
        )

    def __str__(self) -> str:
        return f"{self.summary()}Confusion matrix:\n{self.confusion_table()}"


def score_classifier(
    name: str, classes: Sequence[str], y_true: NDArray[np.integer[Any]], posteriors: NDArray[np.floating[Any]]
) -> ClassifierResults:
    """Compute the scores of a classifier.

    Args:
        name: the model's name.
        classes: names of the classes, in the order of the model's outputs.
        y_true: class ids [n], integer, 0..n_classes - 1.
        posteriors: the model's outputs [n, n_classes], floating, 0..1.

    Raises:
        TrainingError: no samples, shapes that do not fit, ids without a class, or posteriors that are not
            numbers.

    """
    from sklearn.metrics import confusion_matrix

    truth = np.asarray(y_true)
    scores = np.asarray(posteriors, np.float64)
    _check(name, classes, truth, scores)
    ids = np.arange(len(classes))
    confusion = confusion_matrix(truth, scores.argmax(axis=1), labels=ids)
    counts = confusion.sum(axis=1)
    thresholds = np.arange(N_THRESHOLDS) / (N_THRESHOLDS - 1)
    curves = [_class_curves(truth == class_id, scores[:, class_id], thresholds) for class_id in ids]
    areas = [curve["auc"][0] for curve in curves]
    defined = [area for area in areas if not math.isnan(area)]
    return ClassifierResults(
        name=name,
        classes=list(classes),
        overall_accuracy=float(np.trace(confusion) / len(truth)),
        class_accuracies=[
            float(confusion[i, i] / counts[i]) if counts[i] else math.nan for i in range(len(classes))
        ],
        fpr=[curve["fpr"] for curve in curves],
        tpr=[curve["tpr"] for curve in curves],
        roc_auc=areas,
        roc_thresholds=thresholds.tolist(),
        roc_auc_avg=float(np.mean(defined)) if defined else math.nan,
        precision=[curve["precision"] for curve in curves],
        recall=[curve["recall"] for curve in curves],
        confusion_matrix=confusion.tolist(),
    )


def _check(
    name: str, classes: Sequence[str], truth: NDArray[np.integer[Any]], scores: NDArray[np.float64]
) -> None:
    if len(truth) == 0:
        raise TrainingError(f"There are no samples to score {name} on")
    if scores.shape != (len(truth), len(classes)):
        raise TrainingError(
            f"{name} gave posteriors of shape {scores.shape}, expected ({len(truth)}, {len(classes)}): "
            "samples x classes"
        )
    if truth.min() < 0 or truth.max() >= len(classes):
        raise TrainingError(f"A sample's class id is not in 0..{len(classes) - 1}")
    if not np.isfinite(scores).all():
        raise TrainingError(f"{name} gave posteriors that are not numbers (NaN): its training diverged")


def _class_curves(
    positive: NDArray[np.bool_], scores: NDArray[np.float64], thresholds: NDArray[np.float64]
) -> dict[str, list[float]]:
    """Return the curves of one class against the rest; NaN where a rate has no samples to count."""
    from sklearn.metrics import precision_recall_curve, roc_auc_score

    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    curves = {
        "tpr": _share_above(scores[positive], thresholds),
        "fpr": _share_above(scores[~positive], thresholds),
        "auc": [math.nan],
        "precision": [],
        "recall": [],
    }
    if n_positive and n_negative:
        curves["auc"] = [float(roc_auc_score(positive, scores))]
    if n_positive:
        precision, recall, _ = precision_recall_curve(positive, scores, drop_intermediate=True)
        curves["precision"], curves["recall"] = precision.tolist(), recall.tolist()
    return curves


def _share_above(scores: NDArray[np.float64], thresholds: NDArray[np.float64]) -> list[float]:
    """Return the share of scores that reach each threshold."""
    if not len(scores):
        return [math.nan] * len(thresholds)
    below = np.searchsorted(np.sort(scores), thresholds, side="left")
    shares: list[float] = (1.0 - below / len(scores)).tolist()
    return shares


def _ranking(classes: list[str], values: list[float]) -> list[str]:
    ranked = sorted(zip(classes, values, strict=True), key=lambda pair: (math.isnan(pair[1]), -pair[1]))
    return [f"- {name} = {_percent(value)}" for name, value in ranked]


def _percent(value: float) -> str:
    return "no samples" if math.isnan(value) else f"{value * 100:.3f}%"


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
