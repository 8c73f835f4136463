"""`mltk quantize`: convert a trained model to a .tflite file again."""

from typing import Annotated

import typer


def quantize(
    model: Annotated[
        str, typer.Argument(help="Name or archive of a trained model, or its specification (.py).")
    ],
    *,
    weights: Annotated[str | None, typer.Option(help="Use these weights (.keras, .h5, .weights.h5).")] = None,
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="Write the .tflite here instead of into the archive.")
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="Folder with one sub-folder of clips per word.")] = None,
    test: Annotated[bool, typer.Option("--test", help="Use the dry run's model.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Tell more.")] = False,
) -> None:
    """Convert a trained Keras model to an int8 .tflite that carries its settings."""
    from mltk.training.quantize import quantize_model
    from mltk.utils.logging import get_logger

    get_logger(verbose)
    converted = quantize_model(
        model, weights=weights, output=output, dataset=dataset, test=test, verbose=verbose
    )
    print(converted.summary())
