"""The folders that belong to the user: downloads, logs, checkpoints."""

import os
from pathlib import Path

from mltk.utils.files import make_folder

CACHE_DIR_VARIABLE = "MLTK_CACHE_DIR"


def user_dir() -> Path:
    """Return the package's folder for this user: $MLTK_CACHE_DIR, or ~/.mltk. It need not exist yet."""
    configured = os.environ.get(CACHE_DIR_VARIABLE)
    return Path(configured).expanduser() if configured else Path.home() / ".mltk"


def create_user_dir(suffix: str = "", base_dir: str | None = None) -> str:
    """Make a folder below the user's folder (historical MLTK function).

    Args:
        suffix: path below the user's folder, such as 'datasets/alexa'.
        base_dir: another folder to start from.

    Returns:
        The folder's path with forward slashes.

    """
    base = Path(base_dir) if base_dir else user_dir()
    return make_folder(base / suffix.strip("/")).as_posix()
