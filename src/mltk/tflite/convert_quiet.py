"""Keep the chatter of native libraries off the user's terminal, and at hand for an error's sentence."""

import contextlib
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator


class Captured:
    """What a library printed while it was kept quiet."""

    text: str = ""

    def last_line(self) -> str:
        """Return the last line that is not empty."""
        return next((line.strip() for line in reversed(self.text.splitlines()) if line.strip()), "")


@contextlib.contextmanager
def quiet_native() -> Iterator[Captured]:
    """Collect all that the process writes to file descriptors 1 and 2 (C++ logs included) and drop Python warnings.

    The text is in the yielded object once the block has ended, also when it ended with an error.
    """
    captured = Captured()
    with tempfile.TemporaryFile() as sink, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sys.stdout.flush()
        sys.stderr.flush()
        saved = [(descriptor, os.dup(descriptor)) for descriptor in (1, 2)]
        try:
            for descriptor, _ in saved:
                os.dup2(sink.fileno(), descriptor)
            # What Python prints may go to an object that is not descriptor 1 (a notebook, pytest).
            with contextlib.redirect_stdout(_writer(sink.fileno())), contextlib.redirect_stderr(_writer(sink.fileno())):
                yield captured
        finally:
            for descriptor, copy in saved:
                os.dup2(copy, descriptor)
                os.close(copy)
            sink.seek(0)
            captured.text = sink.read().decode("utf-8", errors="replace")


class _writer:  # noqa: N801
    """A minimal text stream on a file descriptor, unbuffered so that it keeps the order with native output."""

    encoding = "utf-8"

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, text: str) -> int:
        os.write(self._descriptor, text.encode("utf-8", errors="replace"))
        return len(text)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return False
