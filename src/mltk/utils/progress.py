"""One look for all progress displays: on standard error, so that output can be piped."""

import sys

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


def stderr_console() -> Console:
    """Return a console on standard error."""
    return Console(file=sys.stderr, highlight=False)


def progress(unit: str = "") -> Progress:
    """Return a progress display (a context manager) that counts steps; nothing is drawn when no terminal looks."""
    console = stderr_console()
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
