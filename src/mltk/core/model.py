"""Historical import path of the model specification's classes."""

from mltk.models.model import (
    AudioDatasetMixin,
    DatasetMixin,
    EvaluateClassifierMixin,
    MltkModel,
    SshMixin,
    TrainMixin,
)

__all__ = [
    "AudioDatasetMixin",
    "DatasetMixin",
    "EvaluateClassifierMixin",
    "MltkModel",
    "SshMixin",
    "TrainMixin",
]
