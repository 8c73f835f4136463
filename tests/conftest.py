"""Where the tests find the material beside the project; tests that need it skip, visibly, where it is missing."""

import os
import signal
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# A shell that starts the suite in the background has it ignore Ctrl-C, and with it every process that a test starts and stops so.
if (
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    and threading.current_thread() is threading.main_thread()
):
    signal.signal(signal.SIGINT, signal.default_int_handler)
# No test fills the user's cache of decoded clips; those of the cache give it a folder of their own.
os.environ["MLTK_CLIP_CACHE_MB"] = "0"


def _folder(variable: str, default: Path, what: str) -> Path:
    folder = Path(os.environ.get(variable, default))
    if not folder.is_dir():
        pytest.skip(f"{what} not found at {folder} (set {variable})")
    return folder


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Reference models and seed scripts."""
    return _folder("MLTK_SHARED_DIR", ROOT.parent / "shared", "shared reference material")


@pytest.fixture(scope="session")
def speech_dir() -> Path:
    """Real recordings."""
    shared = Path(os.environ.get("MLTK_SHARED_DIR", ROOT.parent / "shared"))
    return _folder("MLTK_SPEECH_DIR", shared / "speech", "real recordings")
