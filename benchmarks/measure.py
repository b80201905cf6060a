"""What commands cost, and sides that take turns: what the benchmarks share."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROJECT = ROOT / "build" / "shop-ranker"  # what `make demo` makes
PULSE = 0.02  # seconds between two looks at memory


@dataclass(frozen=True)
class Cost:
    """What a command took: seconds on the clock, seconds of processor, MiB at the peak."""

    wall: float
    cpu: float
    memory: float


def uv(*arguments: str) -> None:
    subprocess.run([os.environ.get("UV", "uv"), *arguments], check=True)


def machine() -> str:
    load = os.getloadavg()[0]
    system = f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors"
    return f"{system}, Python {platform.python_version()}, load {load:.1f} at the start"


def adopt_orphans() -> None:
    """Let what a command leaves running become a child of ours, so that its cost is seen (Linux).

    Elsewhere the cost of servers that outlive their command is not counted.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def run(
    root: Path,
    *commands: Sequence[str],
    environment: Mapping[str, str] | None = None,
    watch: bool = False,
    pulse: float = PULSE,
) -> Cost:
    """Run commands one after another; each has to end well.

    The memory is that of the largest process; with ``watch`` that of all processes together,
    looked at every ``pulse`` seconds, which slows them down.
    """
    # As on a machine where nobody has set it: without bytecode every start takes twice as long.
    usual = {key: each for key, each in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    wall, cpu, memory = 0.0, 0.0, 0.0
    for command in commands:
        with tempfile.TemporaryFile() as said, _watched(watch, pulse) as peak:
            started = time.perf_counter()
            process = subprocess.Popen(
                command,
                cwd=root,
                env={**usual, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=said,  # no pipe: a server may hold it longer than the command takes
                stderr=subprocess.STDOUT,
            )
            _, status, usage = os.wait4(process.pid, 0)
            wall += time.perf_counter() - started
            process.returncode = os.waitstatus_to_exitcode(status)
            usages = [usage]
            with contextlib.suppress(ChildProcessError):
                while True:  # what it left running
                    usages.append(os.wait3(0)[2])
            if process.returncode:
                said.seek(0)
                text = said.read().decode(errors="replace")
                raise SystemExit(f"{' '.join(command)[:200]}\n{text[-2000:]}")
        cpu += sum(each.ru_utime + each.ru_stime for each in usages)
        unit = 1024 if sys.platform == "linux" else 1024**2
        memory = max([memory, *peak, *(u.ru_maxrss / unit for u in usages if not watch)])
    return Cost(wall, cpu, memory)


@contextlib.contextmanager
def _watched(watch: bool, pulse: float) -> Iterator[list[float]]:
    """The most MiB that all our children held at a time, shared pages by share (Linux)."""
    found: list[float] = []
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(pulse):
            held = sum(_memory(pid) for pid in _descendants(os.getpid()))
            found[:] = [max([held, *found])]

    thread = threading.Thread(target=look)
    if watch:
        thread.start()
    try:
        yield found
    finally:
        ended.set()
        if watch:
            thread.join()


def _descendants(pid: int) -> Iterator[int]:
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield int(child)
                yield from _descendants(int(child))


def _memory(pid: int) -> float:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


def take_turns(
    sides: Mapping[str, Callable[[], Cost]],
    runs: int,
    first: Mapping[str, Callable[[], Cost]] | None = None,
) -> dict[str, Cost]:
    """The median cost of each side, after a run of each that does not count.

    The run before may be another one, which measures memory: ``first``.
    """
    costs: dict[str, list[Cost]] = {name: [] for name in sides}
    memory: dict[str, float] = {}
    for turn in range(runs + 1 if runs > 1 or first else 1):
        for name, side in sides.items():
            if first and not turn:
                memory[name] = first[name]().memory
                continue
            cost = side()
            if turn or runs == 1:
                costs[name].append(cost)
    return {
        name: Cost(
            statistics.median(cost.wall for cost in found),
            statistics.median(cost.cpu for cost in found),
            memory.get(name, max(cost.memory for cost in found)),
        )
        for name, found in costs.items()
    }


def head(title: str, *more: str) -> None:
    """Begin a table of costs, with more columns."""
    heads = [title, "wall s", "CPU s", "peak MiB", *more]
    print(f"\n| {' | '.join(heads)} |\n{'|---' * len(heads)}|", flush=True)


def show(name: str, cost: Cost, *more: str) -> None:
    """A row of it, with a cell for each column more."""
    cells = [name, f"{cost.wall:.2f}", f"{cost.cpu:.2f}", f"{cost.memory:.0f}", *more]
    print(f"| {' | '.join(cells)} |", flush=True)
