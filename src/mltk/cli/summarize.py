"""`mltk summarize`: what a trained model is made of."""

from typing import Annotated

import typer


def summarize(
    model: Annotated[str, typer.Argument(help="Name or archive of a trained model, or a .tflite file.")],
    tflite: Annotated[bool, typer.Option("--tflite", help="Describe the int8 .tflite, not the Keras model.")] = False,
    test: Annotated[bool, typer.Option("--test", help="Use the dry run's model.")] = False,
) -> None:
    """Print a model's layers, its cost (MACs, operations, memory) and the settings stored in it."""
    from mltk.models.summary import summarize_model

    print(summarize_model(model, tflite=tflite, test=test))
