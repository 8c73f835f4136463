"""`mltk synthesize`: speak words into a data set."""

from pathlib import Path
from typing import Annotated

import typer


def synthesize(
    words: Annotated[list[str], typer.Argument(help="Words or phrases to speak.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the clips.")],
) -> None:
    """Speak words with random voices into a folder with one sub-folder a word."""
    raise NotImplementedError
