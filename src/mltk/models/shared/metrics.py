"""Metrics that the package's own specifications use."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="mltk")
class BalancedAccuracy(keras.metrics.Metric):  # type: ignore[misc]
    """Mean of the classes' accuracies: every class counts alike, however many samples it has.

    For one-hot labels [n, n_classes] and posteriors of the same shape; class weights are not looked at. A class without
    samples counts as 0. It is `sklearn.metrics.balanced_accuracy_score`.

    Args:
        n_classes: number of classes.
        name: the metric's name in histories; in a validation it is val_NAME.

    """

    def __init__(self, n_classes: int, name: str = "balanced_accuracy", **options: Any) -> None:
        super().__init__(name=name, **options)
        self.n_classes = n_classes
        self.hits = self.add_weight(shape=(n_classes,), initializer="zeros", name="hits")
        self.samples = self.add_weight(shape=(n_classes,), initializer="zeros", name="samples")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Count a batch."""
        del sample_weight
        labels = ops.cast(y_true, "float32")
        predicted = ops.one_hot(ops.argmax(y_pred, axis=-1), self.n_classes)
        self.hits.assign(self.hits + ops.sum(labels * predicted, axis=0))
        self.samples.assign(self.samples + ops.sum(labels, axis=0))

    def result(self) -> Any:
        """Return the mean accuracy of the classes."""
        return ops.mean(self.hits / ops.maximum(self.samples, 1.0))

    def get_config(self) -> dict[str, Any]:
        """Return what makes the metric again."""
        return {**super().get_config(), "n_classes": self.n_classes}
