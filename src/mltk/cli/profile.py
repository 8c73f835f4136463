"""`mltk profile`: what a model costs."""

from typing import Annotated

import typer


def profile(
    model: Annotated[
        str, typer.Argument(help="Name or archive of a trained model, its specification, or a .tflite file.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
    test: Annotated[bool, typer.Option("--test", help="Use the dry run's model.")] = False,
) -> None:
    """Print a model's size, memory, operations and multiply-accumulates, as a whole and layer by layer."""
    from mltk.profiling.profile import profile_model

    results = profile_model(model, test=test)
    print(results.to_json() if as_json else results)
