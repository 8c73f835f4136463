"""`mltk summarize`: what a trained model is made of."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pathlib import Path


def summarize(
    model: Annotated[
        str, typer.Argument(help="Name or archive of a trained model, or a .tflite, .h5 or .keras file.")
    ],
    tflite: Annotated[bool, typer.Option("--tflite", help="The int8 .tflite, not the Keras model.")] = False,
    test: Annotated[bool, typer.Option("--test", help="Use the dry run's model.")] = False,
) -> None:
    """Print a model's layers, its cost (MACs, operations, memory) and the settings stored in it."""
    from mltk.utils.text import printable

    text = (
        _tflite_summary(model, test) if tflite or model.endswith(".tflite") else _keras_summary(model, test)
    )
    print(printable(text, keep="\n"))


def _tflite_summary(model: str, test: bool) -> str:
    from mltk.models.loading import resolve_tflite
    from mltk.tflite.model import TfliteModel

    data, _ = resolve_tflite(model, test)
    return TfliteModel(data, path=model).summary()


def _keras_summary(model: str, test: bool) -> str:
    """Return the text that the training left in the archive; a bare .h5 or .keras is loaded, without its code."""
    import tempfile
    from pathlib import Path

    from mltk.models.archive import ModelArchive
    from mltk.models.legacy_h5 import FLOAT_SUFFIXES
    from mltk.models.loading import find_archive, find_model
    from mltk.utils.errors import ModelError

    if Path(model).suffix in FLOAT_SUFFIXES:
        return _loaded_summary(find_model(model).path)
    archive = ModelArchive.open(find_archive(model, test))
    stem = f"{archive.name}.test" if archive.is_test else archive.name
    for name in (f"{stem}.keras.summary.txt", f"{stem}.h5.summary.txt", f"{archive.name}.h5.summary.txt"):
        if name in archive:
            return archive.read(name).decode("utf-8", "replace").replace("\r\n", "\n").rstrip("\n")
    member = archive.keras_member(test)
    with tempfile.TemporaryDirectory(prefix="mltk-summary-") as folder:
        try:
            return _loaded_summary(archive.extract(folder, [member])[0])
        except ModelError as error:
            raise ModelError(
                f"{model} has no text summary, and its {member} can not be loaded for one ({error}); "
                "--tflite summarizes its .tflite"
            ) from error


def _loaded_summary(path: "Path") -> str:
    from mltk.models.float_model import load_float_model, summary_of
    from mltk.tflite.convert_quiet import load_tensorflow

    load_tensorflow()
    return summary_of(load_float_model(path))
