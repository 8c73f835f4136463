"""Keep the chatter of native libraries off the user's terminal, and at hand for an error's sentence."""

import contextlib
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator

from mltk.utils.errors import MissingExtraError


class Captured:
    """What a library printed while it was kept quiet."""

    text: str = ""

    def last_line(self) -> str:
        """Return the last line that is not empty."""
        return next((line.strip() for line in reversed(self.text.splitlines()) if line.strip()), "")


@contextlib.contextmanager
def quiet_native() -> Iterator[Captured]:
    """Collect all that the process writes to file descriptors 1 and 2 (C++ logs included) and drop Python
    warnings.

    The text is in the yielded object once the block has ended, also when it ended with an error. sys.stdout
    and sys.stderr stay the objects that they are: a library that is imported meanwhile may keep them for
    good.
    """
    captured = Captured()
    with tempfile.TemporaryFile() as sink, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sys.stdout.flush()
        sys.stderr.flush()
        saved = [(descriptor, os.dup(descriptor)) for descriptor in (1, 2)]
        root_handlers = list(logging.getLogger().handlers)
        try:
            for descriptor, _ in saved:
                os.dup2(sink.fileno(), descriptor)
            yield captured
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for descriptor, copy in saved:
                os.dup2(copy, descriptor)
                os.close(copy)
            sink.seek(0)
            # TensorFlow calls logging.info() and so gives the root logger a handler: every line of ours would
            # come twice.
            logging.getLogger().handlers[:] = root_handlers
            captured.text = sink.read().decode("utf-8", errors="replace")


def load_tensorflow() -> None:
    """Import TensorFlow and Keras without their start-up chatter.

    Call it before a specification is executed: specifications import Keras themselves.

    Raises:
        MissingExtraError: they are not installed.

    """
    # Informational messages of TensorFlow's C++ side; errors still pass. The user's own setting goes first.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        with quiet_native():
            import keras  # noqa: F401
            import tensorflow  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("train", "Training, quantizing and scoring the float model") from error
