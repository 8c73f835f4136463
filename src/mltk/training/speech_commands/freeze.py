"""`mltk speech_commands freeze`: from a checkpoint to an archive."""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mltk.evaluation.samples import Samples, collect
from mltk.evaluation.stored import without_keras_warnings
from mltk.models.archive import ModelArchive, archive_stem
from mltk.models.checks import check_name
from mltk.tflite.convert_quiet import load_tensorflow
from mltk.tflite.model import TfliteModel
from mltk.training.quantize import Converted, convert_with_parameters
from mltk.training.speech_commands.checkpoints import Checkpoint
from mltk.training.speech_commands.data import find_parts, fixed_feed
from mltk.training.speech_commands.frozen import FLOAT32, TFLITE, frozen_path
from mltk.training.speech_commands.model import build_model, core_of, make_specification
from mltk.training.speech_commands.settings import (
    FEATURE_RANGES,
    DataSettings,
    FeatureSettings,
    ModelSettings,
)
from mltk.training.speech_commands.train import spread, told_flags
from mltk.utils.errors import TrainingError
from mltk.utils.files import write_bytes
from mltk.utils.logging import get_mltk_logger


def freeze(
    start_checkpoint: str,
    output_file: str | os.PathLike[str],
    flags: Mapping[str, Any] | None = None,
    data_dir: str | None = None,
) -> Path:
    """Turn a checkpoint into a model: the float one and its .tflite, int8 if it was trained with --quantize.

    Args:
        start_checkpoint: the checkpoint.
        output_file: an archive (.mltk.zip) or a .tflite; with any other suffix, such as .pb, the archive of that name.
        flags: what else was said, as for `check_flags`.
        data_dir: take clips of this folder to measure the tensors' ranges on, where the training's samples are not beside
            the checkpoint any more.

    Returns:
        The file that was written.

    Raises:
        TrainingError: there is no such checkpoint, the flags are others than it was trained with, or it can not be
            converted.
        DatasetError: the folder can not be used.

    """
    checkpoint = Checkpoint.load(start_checkpoint)
    check_flags(checkpoint.model, flags or {})
    output = frozen_path(Path(output_file))
    load_tensorflow()
    settings = checkpoint.model
    keras_model = build_model(settings, checkpoint.optimizer)
    checkpoint.put_into(keras_model)
    name = check_name("--output_file without its suffix", archive_stem(output).removesuffix(TFLITE))
    model = make_specification(settings, name)
    model.version = 1
    samples = _representative(checkpoint, data_dir) if settings.features.quantize else None
    batches = None if samples is None else [_real(samples.x, settings.features)]
    converted = convert_with_parameters(model, core_of(keras_model, settings), batches)
    if output.name.endswith(TFLITE):
        return write_bytes(output, converted.tflite)
    ModelArchive.create(output, _members(keras_model, name, converted))
    get_mltk_logger().info("Saved the frozen model to %s", output)
    return output


def check_flags(model: ModelSettings, flags: Mapping[str, Any]) -> None:
    """Hold that what a user says of a checkpoint is so.

    Args:
        model: what it was trained with.
        flags: name -> value; None: not said.

    Raises:
        TrainingError: a flag says something else.

    """
    try:
        said = {name: value for name, value in flags.items() if value is not None}
        own = {name: said.pop(name) for name in ("wanted_words", "model_architecture") if name in said}
        told = replace(model, features=replace(model.features, **said), **own)
    except TypeError as error:
        raise TrainingError(f"A flag is unknown: {error}") from error
    if told != model:
        raise TrainingError(
            f"The checkpoint was trained with other flags: give the same or none ({told_flags(model)})"
        )


def _representative(checkpoint: Checkpoint, data_dir: str | None) -> Samples:
    model = checkpoint.model
    if data_dir is not None:
        parts = find_parts(model.classes, DataSettings(data_dir=data_dir))
        clips = parts.clips["validation"] or parts.clips["training"]
        with fixed_feed(parts, clips[:1000], model.features) as feed:
            return spread(collect(feed))
    samples = checkpoint.representative()
    if samples is None or samples.x.shape[1:] != (*model.features.shape, 1):
        raise TrainingError(
            f"The samples to measure ranges on are not beside {checkpoint.path} any more: give clips with --data_dir"
        )
    return samples


def _real(x: NDArray[Any], features: FeatureSettings) -> NDArray[np.float32]:
    """Return what int8 features stand for, so that the converter finds their scale and zero point for the input.

    A .tflite's input is quantized by the lowest and highest value that is seen; they are made the range's ends.
    """
    from mltk.tflite.convert import exact_int8_range

    low, _ = FEATURE_RANGES[features.preprocess]
    return ((exact_int8_range(x).astype(np.float64) + 128) * features.scale + low).astype(np.float32)


def _members(keras_model: Any, name: str, converted: Converted) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory(prefix="mltk-freeze-") as folder:
        path = Path(folder) / f"{name}.keras"
        with without_keras_warnings():
            keras_model.save(path, include_optimizer=False)
        members = {path.name: path.read_bytes()}
    members[f"{name}{TFLITE}"] = converted.tflite
    members[f"{name}{TFLITE}.summary.txt"] = (TfliteModel(converted.tflite).summary() + "\n").encode()
    if converted.float32 is not None:
        members[f"{name}{FLOAT32}"] = converted.float32
    return members
