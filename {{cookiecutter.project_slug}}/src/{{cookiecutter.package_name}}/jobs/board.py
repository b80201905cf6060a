"""What the terminal shows while jobs run: a line at each start and end, live bars on a terminal."""

from __future__ import annotations

import datetime
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from .outcome import SUCCEEDED, Outcome
from .spec import Job


class Board:
    """Lines that read well in a log file too; the bars vanish when all is done.

    The lines also go to the file ``log``, with the time before each.
    """

    def __init__(self, size: int, log: Path) -> None:
        self.log: TextIO = log.open("a", encoding="utf-8", buffering=1)
        self.size = size
        self.done = 0
        self.bars = _Bars() if sys.stdout.isatty() else None

    def loading(self) -> None:
        self._print("      loading    what the notebooks import")

    def start(self, name: str, cells: int, why: str) -> None:
        if self.bars:
            self.bars.add(name, cells)
        self._print(f"      started    {name}  ({why})")

    def advance(self, name: str, cell: int) -> None:
        if self.bars:
            self.bars.advance(name, cell + 1)

    def again(self, outcome: Outcome) -> None:
        """A job that did not succeed is tried once more."""
        tries = outcome.job.retries + 1
        self._drop(outcome.job.name)
        self._print(f"      retrying   {outcome.job.name}  attempt {outcome.attempts} of {tries}:")
        self._print(f"      {outcome.cause}")

    def end(self, outcome: Outcome) -> None:
        name = outcome.job.name
        self._drop(name)
        self.done += 1
        status = "unchanged" if outcome.reused else outcome.status.replace("_", " ")
        line = f"{f'{self.done}/{self.size}':<5} {status:<10} {name}"
        if outcome.reused:
            line += f"  as in {outcome.reused}"
        elif outcome.seconds:
            line += f"  {outcome.seconds:.1f} s"
        self._print(line)
        if outcome.status != SUCCEEDED:
            for text in filter(None, [outcome.cause, outcome.frame, *outcome.detail.splitlines()]):
                self._print(f"      {text}")

    def close(self) -> None:
        if self.bars:
            self.bars.progress.stop()
        self.log.close()

    def _drop(self, name: str) -> None:
        if self.bars:
            self.bars.remove(name)

    def _print(self, line: str) -> None:
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")
        print(f"{now} {line}", file=self.log)
        if self.bars:
            self.bars.print(line)
        else:
            print(line, flush=True)


class _Bars:
    """A bar for each job that runs, below the lines; imported on a terminal only."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self.progress = Progress(
            TextColumn("  {task.description}"),
            BarColumn(bar_width=24),
            TextColumn("cell {task.completed} of {task.total}"),
            TimeElapsedColumn(),
            console=Console(),
            transient=True,
        )
        self.tasks: dict[str, Any] = {}
        self.progress.start()

    def add(self, name: str, cells: int) -> None:
        self.tasks[name] = self.progress.add_task(name, total=cells)

    def advance(self, name: str, cells: int) -> None:
        self.progress.update(self.tasks[name], completed=cells)

    def remove(self, name: str) -> None:
        if name in self.tasks:
            self.progress.remove_task(self.tasks.pop(name))

    def print(self, line: str) -> None:
        self.progress.console.print(line, markup=False, highlight=False, soft_wrap=True)


def print_plan(plan: Sequence[Job], states: Mapping[str, tuple[object | None, str]]) -> None:
    """Print what would run, and why; each job after what it needs."""
    stale = [job for job in plan if states[job.name][0] is None]
    for job in plan:
        result, why = states[job.name]
        word = "would run" if result is None else "unchanged"
        after = f", after {', '.join(job.needs)}" if job.needs else ""
        print(f"{word:<10} {job.name}  ({why}{after})")
    print(f"{len(stale)} of {len(plan)} jobs would run.")
