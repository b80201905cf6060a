"""How a job ended, decided by evidence in the executed notebook, not by what anybody claims."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .spec import Job
from .summary import Summary

SUCCEEDED, FAILED, TIMED_OUT, INTERRUPTED, SKIPPED = (
    "succeeded",
    "failed",
    "timed_out",
    "interrupted",
    "skipped",
)
INJECTED = "injected-parameters"
TRACEBACK_LINES = 14


@dataclass
class Outcome:
    """What became of a job; ``cause`` is one line, ``detail`` the end of a traceback or log."""

    job: Job
    status: str = SKIPPED
    cause: str = ""
    detail: str = ""
    seconds: float = 0.0
    parameters: dict[str, Any] = field(default_factory=dict)
    title: str = ""
    summary: Summary = field(default_factory=Summary)

    def record(self) -> dict[str, Any]:
        """As plain values, for ``jobs.json``."""
        return {
            "job": self.job.name,
            "status": self.status,
            "cause": self.cause or None,
            "seconds": round(self.seconds, 3),
            "parameters": self.parameters,
        }


def title(notebook: Mapping[str, Any]) -> str:
    """The first heading of a notebook."""
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            found = re.search(r"^#\s+(.+?)\s*$", "".join(cell["source"]), re.MULTILINE)
            if found:
                return found[1]
    return ""


def fault(notebook: Mapping[str, Any]) -> tuple[str, str] | None:
    """Why an executed notebook is no success, as cause and detail; None when it is one.

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
                    return f"sys.exit({first}) ended the notebook early, in {place}", detail
                return f"{name}{f': {first}' if first else ''}, in {place}", detail
    for place, cell in _code_cells(notebook):
        if cell["execution_count"] is None:
            return f"not every cell was executed; the first that was not is {place}", ""
    return None


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
