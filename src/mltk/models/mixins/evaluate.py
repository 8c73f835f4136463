"""Settings of the evaluation of a classifier."""

from mltk.models.base import ModelBase


class EvaluateClassifierMixin(ModelBase):
    """Scoring of a classifier.

    Attributes:
        eval_max_samples_per_class: score that many samples of a class at most; None: all.

    """

    eval_max_samples_per_class: int | None = None
