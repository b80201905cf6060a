"""How a job ended, decided by evidence in the executed notebook, not by what anybody claims."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..config import PROJECT_ROOT
from .parameters import plain
from .spec import Job
from .summary import Summary

SUCCEEDED, FAILED, TIMED_OUT, INTERRUPTED, KILLED, SKIPPED = (
    "succeeded",
    "failed",
    "timed_out",
    "interrupted",
    "killed",
    "skipped",
)
WAITING, RUNNING = "waiting", "running"  # only in the record of a run that goes on
# The exit status of the command, the worst first.
EXIT_STATUS = {INTERRUPTED: 130, KILLED: 137, TIMED_OUT: 124, FAILED: 1, SKIPPED: 1}
INJECTED = "injected-parameters"  # tag and id of the cell with the values of a job
TRACEBACK_LINES = 14


@dataclass
class Outcome:
    """What became of a job.

    Attributes:
        cause: why it is no success, in one line that names the cell.
        detail: the end of the traceback or of the log.
        frame: the last frame of the traceback in the project's own code.
        seconds: how long the last attempt took.
        begun: seconds from the start of the first job that ran to the start of this one.
        memory: the most that the job's processes held at a time, in MiB.
        reused: the run whose result stands, when nothing had to run.
        why: why it ran, or need not.
        outputs: SHA-256 of each declared output, which lies at ``<run>/<job>/<name>``.
        runs: the runs that the notebook made, such as a training.
        key: what its result is kept under.
    """

    job: Job
    status: str = SKIPPED
    cause: str = ""
    detail: str = ""
    frame: str = ""
    seconds: float = 0.0
    begun: float = 0.0
    attempts: int = 0
    memory: int = 0
    reused: str = ""
    why: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    title: str = ""
    summary: Summary = field(default_factory=Summary)
    outputs: dict[str, str] = field(default_factory=dict)
    runs: list[str] = field(default_factory=list)
    key: str = ""

    def record(self, status: str | None = None) -> dict[str, Any]:
        """As plain values, for ``jobs.json``; ``status`` as long as it goes on."""
        return {
            "job": self.job.name,
            "key": self.key,
            "status": status or self.status,
            "cause": self.cause or None,
            "frame": self.frame or None,
            "why": self.why or None,
            "reused": self.reused or None,
            "begun": round(self.begun, 3),
            "seconds": round(self.seconds, 3),
            "attempts": self.attempts,
            "memory_mib": self.memory,
            "parameters": {name: plain(value) for name, value in self.parameters.items()},
            "outputs": self.outputs,
            "runs": self.runs,
        }


def exit_status(outcomes: Iterable[Outcome]) -> int:
    """The exit status of a run with these outcomes: 0 when every job succeeded."""
    bad = {outcome.status for outcome in outcomes}
    return next((code for status, code in EXIT_STATUS.items() if status in bad), 0)


def title(notebook: Mapping[str, Any]) -> str:
    """The first heading of a notebook."""
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            found = re.search(r"^#\s+(.+?)\s*$", "".join(cell["source"]), re.MULTILINE)
            if found:
                return found[1]
    return ""


@dataclass(frozen=True)
class Fault:
    """Why an executed notebook is no success."""

    cause: str
    detail: str = ""
    frame: str = ""


def fault(notebook: Mapping[str, Any]) -> Fault | None:
    """Why an executed notebook is no success; None when it is one.

    A success has no error output, and every code cell was executed.
    """
    for place, cell in _code_cells(notebook):
        for output in cell["outputs"]:
            if output["output_type"] == "error":
                text = plain_text("\n".join(output["traceback"])).strip()
                text = re.sub(r"\A-+\n.*\(most recent call last\)\n", "", text)
                detail = "\n".join(text.splitlines()[-TRACEBACK_LINES:])
                first = (output["evalue"].strip().splitlines() or [""])[0]
                name = output["ename"]
                if name == "SystemExit":
                    return Fault(f"sys.exit({first}) ended the notebook early, in {place}", detail)
                cause = f"{name}{f': {first}' if first else ''}, in {place}"
                return Fault(cause, detail, own_frame(text))
    for place, cell in _code_cells(notebook):
        if cell["execution_count"] is None:
            return Fault(f"not every cell was executed; the first that was not is {place}")
    return None


def own_frame(traceback: str) -> str:
    """The last frame of IPython's ``traceback`` that is in the project's package; may be empty."""
    frames = re.findall(r"^File (.+?):(\d+), in ([\w.<>]+)", traceback, re.MULTILINE)
    for file, line, function in reversed(frames):
        path = Path(file).expanduser()
        if path.is_relative_to(PROJECT_ROOT / "src"):
            return f"{path.relative_to(PROJECT_ROOT)}, line {line}, in {function}"
    return ""


def last_place(notebook: Mapping[str, Any]) -> str:
    """Where an execution that did not end was; a cell is given its count when it begins."""
    begun = [place for place, cell in _code_cells(notebook) if cell["execution_count"] is not None]
    return f"in {begun[-1]}" if begun else "before its first cell"


def plain_text(text: str) -> str:
    """``text`` without the escape codes that colour a terminal."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def _code_cells(notebook: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each code cell that holds code, and its place as a person finds it in the source."""
    number, heading = 0, ""
    for cell in notebook["cells"]:
        number += INJECTED not in cell["metadata"].get("tags", [])
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            headings = re.findall(r"^#+\s+(.+?)\s*$", source, re.MULTILINE)
            heading = headings[-1] if headings else heading
        elif cell["cell_type"] == "code" and source.strip():
            yield f"cell {number}{f' ({heading})' if heading else ''}", cell
