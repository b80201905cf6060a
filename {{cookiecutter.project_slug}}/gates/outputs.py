"""NB311-NB315: a committed notebook holds what people wrote, and nothing a machine added."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from .core.files import File, Notebook, language, source, write
from .core.gate import Context, Gate
from .core.rules import Finding, Rule

STRIP = "Run `python -m gates --fix`"
NB311 = Rule(
    "NB311",
    "the cell holds outputs",
    "outputs hide what changed, leak data and grow the repository; a job's report has them",
    STRIP,
    bad='"outputs": [{"output_type": "stream", "name": "stdout", "text": ["21,480 rows\\n"]}]',
    good='"outputs": []',
)
NB312 = Rule(
    "NB312",
    "the cell holds an execution count",
    "it changes with every run and says nothing about the code",
    STRIP,
    bad='"execution_count": 17',
    good='"execution_count": null',
)
NB313 = Rule(
    "NB313",
    "metadata of a machine",
    "kernel versions, times and window states differ on every machine and make merges conflict",
    STRIP,
    bad='"metadata": {"papermill": {"duration": 3.2, "start_time": "2031-05-04T09:12:44"}}',
    good='"metadata": {}',
)
NB314 = Rule(
    "NB314",
    "the file is not in the form that Jupyter writes",
    "the next save would change lines that nobody edited",
    STRIP,
    bad='{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}',
    good='{\n "cells": [],\n "metadata": {},\n "nbformat": 4,\n "nbformat_minor": 5\n}',
    story=True,
)
NB315 = Rule(
    "NB315",
    "the cell has no stable id",
    "each save makes up another one, so every save is a change, and merges and comments "
    "lose the cell",
    STRIP + "; the ids it gives follow from the content",
    bad='{"cell_type": "code", "source": "rows.head()"}',
    good='{"cell_type": "code", "source": "rows.head()", "id": "5f0c19ab"}',
)
RULES = (NB311, NB312, NB313, NB314, NB315)

KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}
NOTEBOOK_KEYS = {"jupytext", "language_info", "papermill", "signature", "vscode", "widgets"}
CELL_KEYS = {"collapsed", "execution", "ExecuteTime", "jupyter", "papermill", "pycharm", "scrolled"}
CELL_KEYS |= {"lines_to_next_cell", "trusted", "vscode"}
# Elsewhere only what no other machine would write: Jupyter itself adds the rest at every save.
MACHINE_KEYS = {"execution", "ExecuteTime", "papermill", "signature", "widgets"}
ENVIRONMENT = re.compile(r"conda-env-|.*venv", re.I)  # a kernel named after a folder of one machine


def clean(notebook: dict[str, Any]) -> dict[str, Any]:
    """A copy without outputs, counts and machine metadata, with an id for every cell."""
    return strip(notebook, {rule.id for rule in RULES}, own=True)


def strip(notebook: dict[str, Any], rules: Collection[str], *, own: bool) -> dict[str, Any]:
    """A copy without what these rules report, and nothing else changed.

    Args:
        own: By this project's form; otherwise what is usual elsewhere stays.
    """
    metadata, minor = dict(notebook.get("metadata", {})), _minor(notebook)
    if "NB313" in rules:
        gone = NOTEBOOK_KEYS if own else MACHINE_KEYS
        python = language(notebook) == "python"
        gone = gone if python else gone - {"language_info"}
        metadata = {k: v for k, v in metadata.items() if k not in gone}
        kernel = metadata.get("kernelspec", {})
        if python and (own or ENVIRONMENT.match(str(kernel.get("name")))):
            metadata["kernelspec"] = KERNELSPEC
    cells = [
        _strip_cell(cell, rules, CELL_KEYS if own else MACHINE_KEYS) for cell in notebook["cells"]
    ]
    if "NB315" in rules and (own or minor >= 5):
        give_ids(cells)
        minor = max(minor, 5)  # the first in which cells have ids
    return {**notebook, "cells": cells, "metadata": metadata, "nbformat_minor": minor}


def _minor(notebook: dict[str, Any]) -> int:
    minor = notebook.get("nbformat_minor")
    return minor if isinstance(minor, int) else 0


def _strip_cell(cell: dict[str, Any], rules: Collection[str], keys: set[str]) -> dict[str, Any]:
    stripped = dict(cell)
    if "NB313" in rules:
        stripped["metadata"] = {k: v for k, v in cell["metadata"].items() if k not in keys}
    if cell["cell_type"] == "code":
        stripped |= {"outputs": []} if "NB311" in rules else {}
        stripped |= {"execution_count": None} if "NB312" in rules else {}
    return stripped


def canonical(notebook: dict[str, Any]) -> str:
    """The bytes that ``nbformat.write`` would make, so that Jupyter, ruff and we agree."""
    cells = [
        {**cell, "source": source(cell).splitlines(keepends=True)} for cell in notebook["cells"]
    ]
    plain = {**notebook, "cells": cells}
    return json.dumps(plain, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def give_ids(cells: Iterable[dict[str, Any]]) -> None:
    """Give each cell that has no usable id one that follows from its content."""
    seen: set[str] = set()
    for cell in cells:
        name = cell.get("id")
        if _unusable(name, seen):
            text = f"{cell['cell_type']}\n{source(cell)}"
            count = 0
            while (name := hashlib.sha256(f"{text}\n{count}".encode()).hexdigest()[:8]) in seen:
                count += 1
            cell["id"] = name
        seen.add(str(name))


def _unusable(name: object, seen: set[str]) -> str:
    """What is wrong with the id of a cell, if anything."""
    if name is None:
        return "the cell has no id"
    if not (isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name)):
        return "the id of the cell is not 1 to 64 letters, digits, '-' and '_'"
    return f"the id '{name}' is that of an earlier cell as well" if name in seen else ""


def check(file: File, context: Context) -> Iterator[Finding]:
    if not isinstance(file, Notebook):
        return
    own = context.settings.layout == "project"
    findings = [*_cells(file, own), *_ids(file, own), *_metadata(file, own)]
    yield from findings
    if not findings and context.settings.wants(NB314) and file.text != canonical(clean(file.raw)):
        yield Finding(NB314, file.path)


def _cells(file: Notebook, own: bool) -> Iterator[Finding]:
    keys = CELL_KEYS if own else MACHINE_KEYS
    for cell in file.cells:
        if cell.raw.get("outputs"):
            yield Finding(NB311, file.path, cell=cell.number)
        if cell.raw.get("execution_count") is not None:
            yield Finding(NB312, file.path, cell=cell.number)
        if extra := keys & set(cell.raw["metadata"]):
            what = f"metadata of a machine: {', '.join(sorted(extra))}"
            yield Finding(NB313, file.path, what, cell.number)


def _ids(file: Notebook, own: bool) -> Iterator[Finding]:
    if _minor(file.raw) < 5:
        if own:
            minor = file.raw.get("nbformat_minor")
            yield Finding(NB315, file.path, f"cells of format 4.{minor} have no ids")
        return
    seen: set[str] = set()
    told: set[str] = set()  # of many cells without an id the first is enough
    for cell in file.cells:
        name = cell.raw.get("id")
        what = _unusable(name, seen)
        if what and what not in told:
            yield Finding(NB315, file.path, what, cell.number)
        told.add(what)
        seen.add(str(name))


def _metadata(file: Notebook, own: bool) -> Iterator[Finding]:
    metadata = file.raw.get("metadata", {})
    kernel = metadata.get("kernelspec", {})
    extra = (NOTEBOOK_KEYS if own else MACHINE_KEYS) & set(metadata)
    if language(file.raw) != "python":
        extra -= {"language_info"}
    elif own and kernel != KERNELSPEC:
        extra |= {"kernelspec"}
    elif not own and ENVIRONMENT.match(name := str(kernel.get("name"))):
        yield Finding(NB313, file.path, f"the kernel '{name}' is an environment of one machine")
    if extra:
        yield Finding(NB313, file.path, f"metadata of a machine: {', '.join(sorted(extra))}")


def fix(path: Path, context: Context) -> bool:
    """Take away what is reported, and nothing that the settings allow."""
    rules = {rule.id for rule in RULES if context.settings.reports(rule, path)}
    stripped = strip(Notebook(path).raw, rules, own=context.settings.layout == "project")
    return write(path, canonical(stripped))


GATE = Gate(RULES, on_file=check, fix=fix)
main = GATE.main

if __name__ == "__main__":
    sys.exit(main())
