"""What somebody may have meant by a misspelt word."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches


def near(word: object, known: Sequence[str]) -> str:
    """The end of a sentence about a misspelt ``word``: the nearest known one, or all if few."""
    if close := get_close_matches(str(word), known, n=1):
        return f"; did you mean '{close[0]}'?"
    return f"; known are {', '.join(known)}" if 0 < len(known) <= 12 else ""
