"""What the terminal shows while jobs run: a line at each start and end, live bars on a terminal."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from .outcome import SUCCEEDED, Outcome


class Board:
    """Lines that read well in a log file too; the bars vanish when all is done."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.done = 0
        self.live = sys.stdout.isatty()
        self.progress = Progress(
            TextColumn("  {task.description}"),
            BarColumn(bar_width=24),
            TextColumn("cell {task.completed} of {task.total}"),
            TimeElapsedColumn(),
            console=Console(),
            transient=True,
            disable=not self.live,
        )
        self.tasks: dict[str, TaskID] = {}
        self.progress.start()

    def start(self, name: str, cells: int) -> None:
        self.tasks[name] = self.progress.add_task(name, total=cells)
        self._print(f"      started    {name}")

    def advance(self, name: str, cell: int) -> None:
        self.progress.update(self.tasks[name], completed=cell + 1)

    def end(self, outcome: Outcome) -> None:
        name = outcome.job.name
        if name in self.tasks:
            self.progress.remove_task(self.tasks.pop(name))
        self.done += 1
        status = outcome.status.replace("_", " ")
        line = f"{f'{self.done}/{self.size}':<5} {status:<10} {name}"
        self._print(line + (f"  {outcome.seconds:.1f} s" if outcome.seconds else ""))
        if outcome.status != SUCCEEDED:
            for text in [outcome.cause, *outcome.detail.splitlines()]:
                self._print(f"      {text}")

    def close(self) -> None:
        self.progress.stop()

    def _print(self, line: str) -> None:
        if self.live:
            self.progress.console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            print(line, flush=True)
