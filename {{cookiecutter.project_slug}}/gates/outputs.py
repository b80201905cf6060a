"""NB311-NB314: a committed notebook holds what people wrote, and nothing a machine added."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .notebooks import Finding, Rule, canonical, give_ids, read, run, write

STRIP = "Run `python -m gates.outputs --fix`"
NB311 = Rule(
    "NB311",
    "the cell holds outputs",
    "outputs hide what changed, leak data and grow the repository; a job's report has them",
    STRIP,
)
NB312 = Rule(
    "NB312",
    "the cell holds an execution count",
    "it changes with every run and says nothing about the code",
    STRIP,
)
NB313 = Rule(
    "NB313",
    "metadata of a machine",
    "kernel versions, times and window states differ on every machine and make merges conflict",
    STRIP,
)
NB314 = Rule(
    "NB314",
    "the file is not in the form that Jupyter writes",
    "the next save would change lines that nobody edited; without ids, cells cannot be followed",
    STRIP,
)
RULES = (NB311, NB312, NB313, NB314)

KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}
NOTEBOOK_KEYS = {"jupytext", "language_info", "papermill", "signature", "vscode", "widgets"}
CELL_KEYS = {"collapsed", "execution", "ExecuteTime", "jupyter", "papermill", "pycharm", "scrolled"}
CELL_KEYS |= {"lines_to_next_cell", "trusted", "vscode"}


def clean(notebook: dict[str, Any]) -> dict[str, Any]:
    """A copy without outputs, counts and machine metadata, with an id for every cell."""
    notebook = copy.deepcopy(notebook)
    metadata = {k: v for k, v in notebook.get("metadata", {}).items() if k not in NOTEBOOK_KEYS}
    if metadata.get("kernelspec", {}).get("language", "python") == "python":
        metadata["kernelspec"] = KERNELSPEC
    for cell in notebook["cells"]:
        cell["metadata"] = {k: v for k, v in cell["metadata"].items() if k not in CELL_KEYS}
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None
    give_ids(notebook["cells"])
    return {"cells": notebook["cells"], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def check(path: Path) -> Iterator[Finding]:
    notebook = read(path)
    wanted = clean(notebook)
    count = 0
    for number, (cell, good) in enumerate(
        zip(notebook["cells"], wanted["cells"], strict=True), start=1
    ):
        extra = sorted(set(cell["metadata"]) - set(good["metadata"]))
        for rule, broken, what in (
            (NB311, cell.get("outputs"), ""),
            (NB312, cell.get("execution_count") is not None, ""),
            (NB313, extra, f"metadata of a machine: {', '.join(extra)}"),
        ):
            if broken:
                count += 1
                yield Finding(rule, path, what, number)
    metadata = notebook.get("metadata", {})
    if metadata != wanted["metadata"]:
        extra = sorted(set(metadata) - set(wanted["metadata"])) or ["kernelspec"]
        yield Finding(NB313, path, f"metadata of a machine: {', '.join(extra)}")
    elif not count and path.read_bytes() != canonical(wanted).encode():
        yield Finding(NB314, path)


def fix(path: Path) -> bool:
    return write(path, canonical(clean(read(path))))


def main(argv: Sequence[str] | None = None) -> int:
    return run(argv, __doc__, check, fix)


if __name__ == "__main__":
    sys.exit(main())
