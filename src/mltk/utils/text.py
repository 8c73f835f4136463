"""Small helpers for the sentences that users read."""

import difflib
from collections.abc import Iterable


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return ', did you mean "x"?' where a known word is close to `word`, else an empty string."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f', did you mean "{close[0]}"?' if close else ""
