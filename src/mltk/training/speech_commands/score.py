"""`mltk speech_commands test`: the accuracy on the clips that no training has seen."""

import os

from mltk.evaluation.classifier import ClassifierResults
from mltk.evaluation.evaluate import score_samples
from mltk.evaluation.samples import collect
from mltk.models.loading import resolve_tflite
from mltk.tflite.engines import load_predictor
from mltk.tflite.model import TfliteModel
from mltk.training.speech_commands.data import find_parts, fixed_feed
from mltk.training.speech_commands.settings import DataSettings, FeatureSettings
from mltk.utils.errors import DatasetError, TrainingError


def score_tflite(
    model: str | os.PathLike[str], data: DataSettings, engine: str = "litert", part: str = "testing"
) -> ClassifierResults:
    """Score a .tflite that `freeze` made; TensorFlow is not needed.

    Args:
        model: the .tflite or the archive.
        data: the clips.
        engine: what runs it, see `mltk.tflite.engines`.
        part: 'testing', 'validation' or 'training'.

    Raises:
        TrainingError: the model was made by something else, or there are no clips.
        DatasetError: the folder can not be used.
        MltkError: the model can not be read or run.

    """
    content, name = resolve_tflite(model)
    tflite = TfliteModel(content, path=name)
    features = FeatureSettings.from_parameters(tflite.parameters, str(model))
    classes = list(map(str, tflite.parameters.get("classes") or []))
    parts = find_parts(_checked(classes, tflite, str(model)), data)
    if not parts.clips[part]:
        raise DatasetError(f"There are no clips of the part {part} in {data.data_dir}: raise its percentage")
    with fixed_feed(parts, parts.clips[part], features) as feed:
        samples = collect(feed)
    return score_samples(name, classes, load_predictor(tflite, engine), samples)


def score_checkpoint(start_checkpoint: str, data: DataSettings, part: str = "testing") -> ClassifierResults:
    """Score a checkpoint.

    Raises:
        TrainingError: there is no such checkpoint.
        DatasetError: the folder can not be used, or has no clips of the part.

    """
    from mltk.evaluation.evaluate import predictor_of_keras
    from mltk.tflite.convert_quiet import load_tensorflow

    load_tensorflow()
    from mltk.training.speech_commands.checkpoints import Checkpoint
    from mltk.training.speech_commands.model import build_model

    checkpoint = Checkpoint.load(start_checkpoint)
    model = checkpoint.model
    parts = find_parts(model.classes, data)
    if not parts.clips[part]:
        raise DatasetError(f"There are no clips of the part {part} in {data.data_dir}: raise its percentage")
    keras_model = build_model(model, checkpoint.optimizer)
    checkpoint.put_into(keras_model)
    with fixed_feed(parts, parts.clips[part], model.features) as feed:
        samples = collect(feed)
    return score_samples(model.model_architecture, model.classes, predictor_of_keras(keras_model), samples)


def _checked(classes: list[str], tflite: TfliteModel, source: str) -> list[str]:
    if len(classes) < 3 or len(tflite.inputs) != 1 or len(tflite.outputs) != 1:
        raise TrainingError(
            f"{source} is no model of 'mltk speech_commands freeze': it names {len(classes)} classes"
        )
    return classes
