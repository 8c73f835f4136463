"""Scores against brute force, against hand-worked figures and against the published result files."""

import json
import math
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltk.evaluation.classifier import ClassifierResults, score_classifier
from mltk.utils.errors import TrainingError

CLASSES = ["yes", "no", "_unknown_"]


def brute_force_auc(positive: np.ndarray, scores: np.ndarray) -> float:
    """Chance that a positive scores above a negative, ties counting half: the meaning of the AUC."""
    pairs = [(p > n) + 0.5 * (p == n) for p in scores[positive] for n in scores[~positive]]
    return float(np.mean(pairs))


def posteriors_of(truth: np.ndarray, seed: int, n_classes: int = 3) -> np.ndarray:
    logits = np.random.default_rng(seed).normal(size=(len(truth), n_classes))
    logits[np.arange(len(truth)), truth] += 1.0
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def test_hand_worked_figures() -> None:
    truth = np.array([0, 0, 0, 1, 1, 2])
    scores = np.array(
        [[0.9, 0.1, 0.0], [0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.1, 0.8, 0.1], [0.5, 0.4, 0.1], [0.0, 0.0, 1.0]]
    )
    results = score_classifier("m", CLASSES, truth, scores)
    assert results.confusion_matrix == [[2, 1, 0], [1, 1, 0], [0, 0, 1]]
    assert results.overall_accuracy == pytest.approx(4 / 6)
    assert results.class_accuracies == pytest.approx([2 / 3, 1 / 2, 1.0])
    # "yes": positives 0.9 0.6 0.2, negatives 0.1 0.5 0.0: 8 of 9 pairs in order.
    assert results.roc_auc[0] == pytest.approx(8 / 9)
    assert results.roc_thresholds[50] == 0.5
    assert results.tpr[0][50] == pytest.approx(2 / 3)
    assert results.fpr[0][50] == pytest.approx(1 / 3)  # 0.5 reaches the threshold 0.5
    assert results.fpr[0][51] == 0.0
    assert (results.tpr[0][0], results.fpr[0][0]) == (1.0, 1.0)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(6, 40))
def test_curves_against_brute_force(seed: int, count: int) -> None:
    truth = np.concatenate([np.arange(3), np.random.default_rng(seed).integers(0, 3, count)])
    scores = np.round(posteriors_of(truth, seed), 2)  # ties
    results = score_classifier("m", CLASSES, truth, scores)
    assert np.sum(results.confusion_matrix) == len(truth)
    for class_id in range(3):
        positive, column = truth == class_id, scores[:, class_id]
        assert results.roc_auc[class_id] == pytest.approx(brute_force_auc(positive, column))
        for index, threshold in enumerate(results.roc_thresholds):
            assert results.tpr[class_id][index] == pytest.approx(np.mean(column[positive] >= threshold))
            assert results.fpr[class_id][index] == pytest.approx(np.mean(column[~positive] >= threshold))
        # Every point of the precision/recall curve belongs to some threshold; its end is (0, 1).
        legal = {
            (round(positive[column >= t].mean(), 9), round((column[positive] >= t).mean(), 9))
            for t in np.unique(column)
        }
        points = list(zip(results.precision[class_id], results.recall[class_id], strict=True))
        assert points[-1] == (1.0, 0.0)
        assert {(round(p, 9), round(r, 9)) for p, r in points[:-1]} <= legal


@pytest.mark.parametrize("archive", ["tflite_micro_speech", "keyword_spotting_alexa"])
@pytest.mark.parametrize("kind", ["h5", "tflite"])
def test_summary_is_that_of_published_results(shared_dir: Path, archive: str, kind: str) -> None:
    with zipfile.ZipFile(shared_dir / "models" / f"{archive}.mltk.zip") as source:
        published = json.loads(source.read(f"eval/{kind}/eval-results.json"))
        text = source.read(f"eval/{kind}/summary.txt").decode()
    ours = ClassifierResults(**published)
    assert ours.summary() == text.replace("\r\n", "\n").rstrip("\n") + "\n"
    assert list(ours.to_dict()) == list(published)
    assert json.loads(ours.to_json()) == published


def test_class_without_samples_is_told_and_null_in_json() -> None:
    truth = np.array([0, 1, 0])
    results = score_classifier("m", CLASSES, truth, posteriors_of(truth, 1))
    assert math.isnan(results.class_accuracies[2])
    assert "- _unknown_ = no samples" in results.summary()
    assert json.loads(results.to_json())["class_accuracies"][2] is None
    assert results.summary().splitlines()[6].startswith("- _unknown_"), "undefined figures come last"


def test_classes_are_ranked_from_best_to_worst() -> None:
    truth = np.array([0, 0, 1, 1, 2, 2])
    scores = np.eye(3)[[0, 1, 1, 1, 0, 1]]
    lines = score_classifier("m", CLASSES, truth, scores).summary().splitlines()
    assert lines[:7] == [
        "Name: m",
        "Model Type: classification",
        "Overall accuracy: 50.000%",
        "Class accuracies:",
        "- no = 100.000%",
        "- yes = 50.000%",
        "- _unknown_ = 0.000%",
    ]


def test_confusion_table_shows_every_count() -> None:
    results = score_classifier("m", ["a", "b"], np.array([0, 0, 1]), np.eye(2)[[0, 1, 1]])
    assert results.confusion_table().splitlines() == [
        "true \\ predicted  a  b  samples",
        "a                 1  1        2",
        "b                 0  1        1",
    ]
    assert str(results) == results.summary() + "Confusion matrix:\n" + results.confusion_table()


@pytest.mark.parametrize(
    ("truth", "scores", "told"),
    [
        (np.array([], int), np.zeros((0, 3)), "no samples"),
        (np.array([0, 1]), np.zeros((2, 4)), r"shape \(2, 4\), expected \(2, 3\)"),
        (np.array([0, 3]), np.zeros((2, 3)), "class id"),
        (np.array([0, -1]), np.zeros((2, 3)), "class id"),
        (np.array([0, 1]), np.full((2, 3), np.nan), "not numbers"),
    ],
)
def test_refusals(truth: np.ndarray, scores: np.ndarray, told: str) -> None:
    with pytest.raises(TrainingError, match=told):
        score_classifier("m", CLASSES, truth, scores)
