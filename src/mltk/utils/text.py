"""Small helpers for the sentences that users read."""

import difflib
from collections.abc import Iterable


def printable(text: str, keep: str = "") -> str:
    """Return a text without what could break a line or steer the terminal: names may come out of a stranger's file.

    Args:
        text: what is to be shown.
        keep: characters that are meant, such as the line ends of a table.

    """
    return "".join(letter if letter.isprintable() or letter in keep else "?" for letter in text)


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return ', did you mean "x"?' where a known word is close to `word`, else an empty string."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f', did you mean "{close[0]}"?' if close else ""
