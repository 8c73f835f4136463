"""`mltk speech_commands convert`: the .tflite out of a frozen model; TensorFlow is not needed."""

import os
from pathlib import Path

from mltk.models.archive import ARCHIVE_SUFFIX, ModelArchive
from mltk.tflite.model import TfliteModel
from mltk.utils.errors import TrainingError
from mltk.utils.files import write_bytes

TFLITE = ".tflite"
FLOAT32 = ".float32.tflite"


def convert(
    graph_def_file: str | os.PathLike[str],
    output_file: str | os.PathLike[str],
    inference_type: str | None = None,
    input_shapes: str | None = None,
) -> Path:
    """Take the .tflite out of a frozen model, as `toco` made one of a frozen graph.

    Args:
        graph_def_file: what `freeze` wrote; the name that it was told will do too, .pb for example.
        output_file: the .tflite to write.
        inference_type: "FLOAT", or one that begins with "QUANTIZED" or is "INT8"; None: as the model was trained.
        input_shapes: such as "1,49,40,1"; None: as it is.

    Raises:
        TrainingError: the model has no such .tflite, or another shape.
        ArchiveError: the archive is missing or damaged.

    """
    archive = ModelArchive(frozen_path(Path(graph_def_file)))
    data = archive.tflite_bytes()
    is_quantized = TfliteModel(data).inputs[0].type_name == "int8"
    wants_quantized = (
        is_quantized if inference_type is None else inference_type.upper() not in ("FLOAT", "FLOAT32")
    )
    if wants_quantized and not is_quantized:
        raise TrainingError(
            f"{archive.path} is a float model, --inference_type={inference_type} needs one that was trained and frozen with "
            "--quantize=1"
        )
    if is_quantized and not wants_quantized:
        data = archive.read(f"{archive.name}{FLOAT32}")
    _check_shape(TfliteModel(data), input_shapes)
    return write_bytes(output_file, data)


def frozen_path(path: Path) -> Path:
    """Return the file that `freeze` writes where it is told to write `path`."""
    if path.name.endswith((ARCHIVE_SUFFIX, TFLITE)):
        return path
    # A frozen graph of TensorFlow 1 is what nothing reads any more.
    return path.with_name(path.stem + ARCHIVE_SUFFIX)


def _check_shape(model: TfliteModel, input_shapes: str | None) -> None:
    if input_shapes is None:
        return
    shape = ",".join(map(str, model.inputs[0].shape))
    if input_shapes.replace(" ", "") != shape:
        raise TrainingError(
            f"--input_shapes is {input_shapes}, the model takes {shape}: give that, or leave it out"
        )
