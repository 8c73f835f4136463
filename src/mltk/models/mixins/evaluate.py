"""Settings of the evaluation of a classifier."""

from collections.abc import Callable
from typing import Any

from mltk.models.base import ModelBase


class EvaluateClassifierMixin(ModelBase):
    """Scoring of a classifier.

    Attributes:
        eval_max_samples_per_class: score that many samples of a class at most; None: all.
        eval_custom_function: called instead of the built-in scoring with (model, ...), as `mltk.evaluation` tells.

    """

    eval_max_samples_per_class: int | None = None
    eval_custom_function: Callable[..., Any] | None = None
