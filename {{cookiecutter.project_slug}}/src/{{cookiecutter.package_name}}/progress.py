"""Progress on long work, on a terminal only."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")


def track(work: Iterable[T], what: str, total: int | None = None) -> Iterable[T]:
    """Iterate over ``work`` with a bar on standard error, if it is a terminal.

    It shows how much is done, how fast and the time left. ``total`` is needed for what has no
    length.
    """
    count = len(work) if isinstance(work, Sequence) else total or 0
    if count < 3 or not sys.stderr.isatty():
        return work
    from rich import progress
    from rich.console import Console

    class Rate(progress.ProgressColumn):
        def render(self, task: progress.Task) -> str:
            speed = task.finished_speed or task.speed
            if not speed:
                return ""
            return f"{speed:.1f}/s" if speed >= 1 else f"{60 * speed:.1f}/min"

    shown = progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        Rate(),
        progress.TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        speed_estimate_period=600,  # parts may take minutes each
    )

    def steps() -> Iterable[T]:
        with shown:
            yield from shown.track(work, total=count, description=what)

    return steps()
