"""The package's logger: quiet by default, plain text on standard error when a command runs."""

import logging
import sys
from pathlib import Path
from typing import TextIO

_LOGGER_NAME = "mltk"


class _Console(logging.StreamHandler[TextIO]):
    """Writes to whatever standard error is at the time."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stderr


def get_mltk_logger() -> logging.Logger:
    """Return the package's logger (the historical name of the reference toolkit)."""
    return logging.getLogger(_LOGGER_NAME)


def get_logger(verbose: bool = False) -> logging.Logger:
    """Set the package's logger up for a command and return it.

    Args:
        verbose: show DEBUG messages too; INFO and above otherwise.

    """
    logger = get_mltk_logger()
    logger.setLevel(logging.DEBUG if verbose else logging.INFO)
    if not any(isinstance(handler, _Console) for handler in logger.handlers):
        console = _Console()
        console.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(console)
    return logger


def add_file_log(path: Path) -> logging.Handler:
    """Write everything that is logged from now on to `path` too; the caller removes the returned handler."""
    handler = logging.FileHandler(path, mode="w", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(message)s"))
    handler.setLevel(logging.DEBUG)
    get_mltk_logger().addHandler(handler)
    return handler
