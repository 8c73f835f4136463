"""`mltk classify_audio`: hear keywords in a microphone's sound or in a recording."""

from typing import Annotated

import typer


def classify_audio(
    model: Annotated[str, typer.Argument(help="A .tflite file, a model archive or a model's name.")],
) -> None:
    """Hear keywords in the sound of a microphone, in a recording or in a raw stream."""
    raise NotImplementedError(model)
