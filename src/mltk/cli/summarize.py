"""`mltk summarize`: what a trained model is made of."""

from typing import Annotated

import typer


def summarize(
    model: Annotated[str, typer.Argument(help="Name or archive of a trained model, or a .tflite file.")],
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
    """Return the text that the training left in the archive: building the model anew would run its Python."""
    from mltk.models.archive import ModelArchive
    from mltk.models.loading import find_archive
    from mltk.utils.errors import ModelError

    archive = ModelArchive.open(find_archive(model, test))
    stem = f"{archive.name}.test" if archive.is_test else archive.name
    for name in (f"{stem}.keras.summary.txt", f"{stem}.h5.summary.txt", f"{archive.name}.h5.summary.txt"):
        if name in archive:
            return archive.read(name).decode("utf-8", "replace").replace("\r\n", "\n").rstrip("\n")
    raise ModelError(
        f"{archive.path} has no summary of the Keras model ({stem}.h5.summary.txt): "
        f"see the quantized one with `mltk summarize {model} --tflite`"
    )
