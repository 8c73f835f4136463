"""The historical import path of the reference toolkit: `import mltk.core as mltk_core`.

A table of names and where they are; a name is imported when it is asked for, so that this package stays
light.
"""

import importlib
from typing import Any

_HOMES = {
    "AudioDatasetMixin": "mltk.models.model",
    "DatasetMixin": "mltk.models.model",
    "EvaluateClassifierMixin": "mltk.models.model",
    "MltkDataset": "mltk.models.model",
    "MltkModel": "mltk.models.model",
    "SshMixin": "mltk.models.model",
    "TrainMixin": "mltk.models.model",
    "TfliteModel": "mltk.tflite.model",
    "TfliteModelParameters": "mltk.tflite.parameters",
    "evaluate_model": "mltk.evaluation.evaluate",
    "get_mltk_logger": "mltk.utils.logging",
    "load_mltk_model": "mltk.models.loading",
    "profile_model": "mltk.profiling.profile",
    "quantize_model": "mltk.training.quantize",
    "train_model": "mltk.training.train",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605 (the table above is the one list of names)


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
