"""`mltk update_params`: change the settings that a trained model carries."""

from typing import Annotated

import typer


def update_params(
    model: Annotated[str, typer.Argument(help="Name or archive (.mltk.zip) of a trained model, or a .tflite file.")],
    settings: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE...", help="Settings, such as detection_threshold=200.")
    ] = None,
    params: Annotated[str | None, typer.Option(help="Read settings from this .json or .yaml file too.")] = None,
    description: Annotated[str | None, typer.Option(help="Set the model's description.")] = None,
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="Write the changed .tflite here; leave the model as it is.")
    ] = None,
    test: Annotated[bool, typer.Option("--test", help="Use the dry run's model.")] = False,
) -> None:
    """Change settings inside a model's .tflite; everything that is not named stays as it is."""
