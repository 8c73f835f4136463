"""The command line: one thin file a command."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging

__all__ = ["get_logger"]


def get_logger(verbose: bool = False) -> "logging.Logger":
    """Set the package's logger up and return it (historical MLTK function); see `mltk.utils.logging.get_logger`."""
    from mltk.utils.logging import get_logger as set_up

    return set_up(verbose)
