"""Words: those that a name is made of, and lists of them."""

from __future__ import annotations

import re
from functools import lru_cache


@lru_cache(maxsize=4096)
def words(name: str) -> tuple[str, ...]:
    """The words of a name in small letters: ``X_testScaled2`` has x, test and scaled."""
    return tuple(word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name))


def listed(text: str) -> frozenset[str]:
    """The words of a text, for lists that would fill the page as literals."""
    return frozenset(text.split())
