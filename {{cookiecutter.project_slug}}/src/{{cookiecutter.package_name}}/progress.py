"""Progress on long work, on a terminal only."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")


def track(work: Sequence[T], what: str) -> Iterable[T]:
    """Iterate over ``work`` with a bar and the time left on standard error, if it is a terminal."""
    if len(work) < 3 or not sys.stderr.isatty():
        return work
    from rich.console import Console
    from rich.progress import track as rich_track

    return rich_track(work, what, console=Console(stderr=True), transient=True)
