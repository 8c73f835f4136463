"""What the package's own specifications train with."""

import numpy as np
import pytest

pytest.importorskip("keras", reason="the extra 'train' is not installed")

from mltk.models.shared.metrics import BalancedAccuracy
from mltk.models.shared.schedules import CosineLearnRate


def test_balanced_accuracy_is_scikit_learns() -> None:
    from sklearn.metrics import balanced_accuracy_score

    rng = np.random.default_rng(0)
    truth = rng.choice(4, 200, p=[0.05, 0.15, 0.6, 0.2])
    posteriors = rng.random((200, 4)).astype(np.float32) + 0.4 * np.eye(4, dtype=np.float32)[truth]
    metric = BalancedAccuracy(4)
    for part in np.array_split(np.arange(200), 7):
        metric.update_state(np.eye(4)[truth[part]], posteriors[part], sample_weight=np.zeros(len(part)))
    assert float(metric.result()) == pytest.approx(
        balanced_accuracy_score(truth, posteriors.argmax(1)), abs=1e-6
    )
    again = BalancedAccuracy.from_config(metric.get_config())
    assert (again.n_classes, again.name) == (4, "balanced_accuracy")
    metric.reset_state()
    assert float(metric.result()) == 0.0


def test_cosine_learn_rate_rises_then_falls() -> None:
    schedule = CosineLearnRate(0.5, warmup_epochs=2, lowest=0.01)
    rates = [schedule.rate_of(epoch, 11) for epoch in range(11)]
    assert rates[:3] == pytest.approx([0.5 / 3, 1.0 / 3, 0.5])
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert rates[6] == pytest.approx(0.5 * (0.01 + 0.99 * 0.5))  # half-way down
    assert rates[-1] == pytest.approx(0.005)
    assert schedule.rate_of(0, 1) > 0
