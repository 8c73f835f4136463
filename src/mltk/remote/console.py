"""Show another machine's output: its text and its colours, nothing that could steer the terminal."""

import codecs
import re
import sys
from typing import TextIO

from mltk.utils.text import printable

_KEEP = "\n\t"
_MAX_HELD = 4096  # no honest sequence is longer
# ECMA-48: CSI sequences, strings (OSC, DCS, ...) with their end, and the two-character rest.
_SEQUENCE = re.compile(
    r"\x1b\[(?P<csi>[0-?]*[ -/]*[@-~])"
    r"|\x1b[\]PX^_].*?(?:\x07|\x1b\\)"
    r"|\x1b[ -/]*[0-OQ-WYZ\\`-~]",
    re.DOTALL,
)
_COLOUR = re.compile(r"[0-9;]*m")


class Console:
    """Writes bytes that come in pieces; a letter or a sequence may be cut between two of them."""

    def __init__(self, stream: TextIO | None = None) -> None:
        """Write to `stream`, or to whatever standard output is at the time."""
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""

    def write(self, data: bytes) -> None:
        """Show a piece of output."""
        self._show(self._decoder.decode(data))

    def flush(self) -> None:
        """Show what was held back because its rest did not come."""
        text, self._held = self._held + self._decoder.decode(b"", final=True), ""
        self._put(_cleaned(text, self._coloured()))
        self._decoder.reset()

    def _show(self, text: str) -> None:
        text = self._held + text
        cut = _unfinished(text)
        self._held = text[cut:] if len(text) - cut <= _MAX_HELD else ""
        self._put(_cleaned(text[:cut] if self._held else text, self._coloured()))

    def _coloured(self) -> bool:
        return (self._stream or sys.stdout).isatty()

    def _put(self, text: str) -> None:
        stream = self._stream or sys.stdout
        try:
            stream.write(text)
        except UnicodeEncodeError:  # a Windows console with an old code page
            encoding = stream.encoding or "ascii"
            stream.write(text.encode(encoding, "replace").decode(encoding))
        stream.flush()


def _unfinished(text: str) -> int:
    """Return where a sequence begins whose end has not come yet; the text's length if there is none."""
    start = text.rfind("\x1b")
    if start > 0 and text[start:] == "\x1b":  # may be the end of a string that began before
        earlier = text.rfind("\x1b", 0, start)
        if earlier >= 0 and _SEQUENCE.match(text, earlier) is None:
            start = earlier
    if start >= 0 and _SEQUENCE.match(text, start) is None:
        return start
    return len(text) - 1 if text.endswith("\r") else len(text)


def _cleaned(text: str, coloured: bool) -> str:
    def replace(match: re.Match[str]) -> str:
        sequence = match["csi"]
        return match[0] if coloured and sequence is not None and _COLOUR.fullmatch(sequence) else ""

    pieces = []
    end = 0
    # A lone carriage return would write over what stands there: it becomes a line of its own.
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    for match in _SEQUENCE.finditer(text):
        pieces += [printable(text[end : match.start()], _KEEP), replace(match)]
        end = match.end()
    pieces.append(printable(text[end:], _KEEP))
    return "".join(pieces)
