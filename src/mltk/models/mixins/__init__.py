"""Parts that a model specification is put together from."""

from mltk.models.mixins.audio_dataset import AudioDatasetMixin
from mltk.models.mixins.dataset import DatasetMixin
from mltk.models.mixins.evaluate import EvaluateClassifierMixin
from mltk.models.mixins.ssh import SshMixin
from mltk.models.mixins.train import TrainMixin

ALL = (TrainMixin, DatasetMixin, AudioDatasetMixin, EvaluateClassifierMixin, SshMixin)

__all__ = ["ALL", "AudioDatasetMixin", "DatasetMixin", "EvaluateClassifierMixin", "SshMixin", "TrainMixin"]
