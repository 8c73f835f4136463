"""From a trained Keras model to a .tflite that carries its settings."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mltk.evaluation.quantization import (
    DEFAULT_COUNT,
    QuantizationReport,
    float32_beside,
    quantization_report,
)
from mltk.evaluation.samples import Samples
from mltk.evaluation.stored import keras_model_of, validation_samples
from mltk.models.archive import ModelArchive
from mltk.models.loading import load_mltk_model
from mltk.models.model import MltkModel
from mltk.tflite.convert_options import ConverterOptions
from mltk.tflite.convert_quiet import load_tensorflow
from mltk.tflite.micro import arena_size
from mltk.tflite.model import TfliteModel
from mltk.tflite.parameters import TfliteModelParameters
from mltk.utils.errors import ModelError, TfliteError
from mltk.utils.files import write_bytes
from mltk.utils.logging import get_mltk_logger

# As many samples as measure the ranges well; each of them runs through the model once.
MAX_REPRESENTATIVE = 1000


@dataclass(frozen=True)
class Converted:
    """The .tflite files of one model.

    Attributes:
        tflite: the model as the specification's tflite_converter wants it, with its parameters.
        float32: the unquantized one beside a quantized one, where generate_unquantized is set.

    """

    tflite: bytes
    float32: bytes | None

    def members(self, model: MltkModel) -> dict[str, bytes]:
        """Return the files as members of the model's archive."""
        files = {
            model.file_name(".tflite"): self.tflite,
            model.file_name(".tflite.summary.txt"): (TfliteModel(self.tflite).summary() + "\n").encode(),
        }
        if self.float32 is not None:
            files[model.file_name(".float32.tflite")] = self.float32
        return files


def quantize_model(
    model: str | os.PathLike[str] | MltkModel,
    *,
    keras_model: Any = None,
    weights: str | None = None,
    representative: Iterable[NDArray[Any]] | None = None,
    output: str | os.PathLike[str] | None = None,
    dataset: str | None = None,
    test: bool = False,
    verbose: bool = False,
    update_archive: bool = True,
    float32: bool | None = None,
) -> TfliteModel:
    """Convert a trained model to .tflite again, with the settings of its specification.

    Beside a quantized model a float32 one is made (NAME.float32.tflite), which tells layer by layer what the
    quantization costs (`mltk.evaluation.quantization`).

    Args:
        model: name, specification, archive (its specification is executed) or loaded model.
        keras_model: a trained Keras model; that of the archive without it.
        weights: load these weights first (.weights.h5, .keras, .h5).
        representative: batches of features [n, ...] that tell the ranges; validation data without it.
        output: write the .tflite here (and NAME.float32.tflite beside it), and leave the archive as it is.
        dataset: take the representative data from this folder.
        test: the dry run's model.
        verbose: for later.
        update_archive: put the .tflite into the model's archive.
        float32: make the float32 model too; None: as tflite_converter["generate_unquantized"] says.

    Returns:
        The converted model.

    Raises:
        ModelError: the model is not trained, or its tflite_converter has illegal settings.
        TrainingError: it can not be converted.

    """
    load_tensorflow()
    loaded = load_mltk_model(model, test=test, execute_spec=True)
    options = ConverterOptions.from_dict(_converter_settings(loaded))
    if keras_model is None:
        keras_model = keras_model_of(loaded, weights)
    batches: Iterable[NDArray[Any]] | None = representative
    if batches is None and _own_representative(loaded) is None and options.representative_dataset:
        batches = [validation_samples(loaded, dataset).spread(MAX_REPRESENTATIVE)]
    converted = convert_with_parameters(loaded, keras_model, batches, float32)
    if output is not None:
        write_bytes(output, converted.tflite)
        if converted.float32 is not None:
            write_bytes(float32_beside(output), converted.float32)
    elif update_archive and loaded.archive_path.is_file():
        # A float32 model of an earlier conversion may have other weights.
        stale: dict[str, bytes | None] = {loaded.file_name(".float32.tflite"): None}
        ModelArchive(loaded.archive_path).update(stale | converted.members(loaded))
        get_mltk_logger().info("Updated %s", loaded.archive_path)
    return TfliteModel(converted.tflite, output)


def quantize_and_report(
    model: str | os.PathLike[str],
    *,
    weights: str | None = None,
    output: str | os.PathLike[str] | None = None,
    dataset: str | None = None,
    count: int = DEFAULT_COUNT,
    test: bool = False,
    verbose: bool = False,
) -> QuantizationReport:
    """Convert a trained model again, then compare its int8 and its float32 .tflite on the same clips.

    The clips' features are computed once, for the ranges and for the report.

    Args:
        model: name, specification or archive (its specification is executed).
        weights: load these weights first (.weights.h5, .keras, .h5).
        output: write the .tflite here, and leave the archive as it is.
        dataset: take the clips from this folder; without it, those that the training kept apart.
        count: compare on that many clips at most.
        test: the dry run's model.
        verbose: for later.

    Raises:
        As `quantize_model` and `quantization_report`.

    """
    load_tensorflow()
    loaded = load_mltk_model(model, test=test, execute_spec=True)
    samples = validation_samples(loaded, dataset)
    quantize_model(
        loaded,
        weights=weights,
        representative=[samples.spread(MAX_REPRESENTATIVE)],
        output=output,
        verbose=verbose,
        float32=True,
    )
    converted = model if output is None else output
    return quantization_report(converted, samples=samples.spread(count), count=count, test=test)


def convert_samples(model: MltkModel, keras_model: Any, samples: Samples | None) -> Converted:
    """Convert a trained Keras model, ranges measured on samples; see `convert_with_parameters`."""
    return convert_with_parameters(
        model, keras_model, None if samples is None else [samples.spread(MAX_REPRESENTATIVE)]
    )


def convert_with_parameters(
    model: MltkModel,
    keras_model: Any,
    representative: Iterable[NDArray[Any]] | None,
    float32: bool | None = None,
) -> Converted:
    """Convert a Keras model and put the model's parameters into the .tflite.

    Args:
        model: the specification: tflite_converter, parameters.
        keras_model: the trained model.
        representative: batches of features; int8 ones are the device's own numbers
            (`mltk.tflite.convert.convert`).
        float32: make the float32 model too; None: as tflite_converter says.

    Raises:
        ModelError: tflite_converter has illegal settings.
        TrainingError: the model can not be converted.

    """
    from mltk.tflite.convert import convert

    options = ConverterOptions.from_dict(_converter_settings(model))
    own = _own_representative(model)
    batches: Iterable[NDArray[Any]] | None = None
    if options.representative_dataset:
        batches = _own_batches(own()) if own is not None else representative
    plain = convert(keras_model, batches, options)
    parameters = model.tflite_parameters(measure_arena(plain))
    unquantized = None
    if options.quantizes and (options.generate_unquantized if float32 is None else float32):
        unquantized = _with_parameters(convert(keras_model), model.tflite_parameters(0))
    return Converted(_with_parameters(plain, parameters), unquantized)


def measure_arena(tflite: bytes) -> int:
    """Return the bytes of tensor arena that TFLM needs for a model; 0 where tflite-micro is missing or
    refuses it.
    """
    try:
        return arena_size(tflite)
    except TfliteError as error:
        get_mltk_logger().warning(
            "runtime_memory_size is 0: the tensor arena can not be measured (%s)", error
        )
        return 0


def _with_parameters(tflite: bytes, parameters: dict[str, Any]) -> bytes:
    return TfliteModelParameters(parameters).add_to_tflite_flatbuffer(tflite)


def _converter_settings(model: MltkModel) -> dict[str, Any]:
    settings = getattr(model, "tflite_converter", None)
    if settings is None:
        raise ModelError(
            f"The model {model.name} has no tflite_converter: add mltk.core.TrainMixin to its bases"
        )
    return dict(settings)


def _own_representative(model: MltkModel) -> Any:
    value = _converter_settings(model).get("representative_dataset")
    return value if callable(value) else None


def _own_batches(given: Iterable[Any]) -> list[NDArray[Any]]:
    """Return a user's representative data as batches: TensorFlow's convention is to give [input] for each
    sample.
    """
    return [np.asarray(item[0] if isinstance(item, list | tuple) else item) for item in given]


def write_tflite(model: MltkModel, converted: Converted, folder: Path) -> Path:
    """Write the .tflite into a folder under its name in the archive."""
    return write_bytes(folder / model.file_name(".tflite"), converted.tflite)
