"""The command line: one thin file a command."""

from mltk.utils.logging import get_logger

__all__ = ["get_logger"]
