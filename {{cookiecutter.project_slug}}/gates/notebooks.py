"""What the gates share: rules and findings, finding notebooks, reading and writing them."""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Rule:
    """What a gate can report: what is wrong, why it matters, how to mend it."""

    id: str
    what: str
    why: str
    mend: str


@dataclass(frozen=True)
class Finding:
    """A rule that is broken at a place; ``what`` says it more exactly than the rule does."""

    rule: Rule
    path: Path
    what: str = ""
    cell: int | None = None  # counted from 1

    def __str__(self) -> str:
        place = f"{self.path}:cell {self.cell}" if self.cell else str(self.path)
        return f"{place}: {self.rule.id} {self.what or self.rule.what}. {self.rule.mend}."


NB300 = Rule(
    "NB300",
    "the file is not a notebook that can be read",
    "every other gate, papermill and Jupyter stop at it",
    "Take the last good version from git, or make it again from its .py with `make sync`",
)


class Unreadable(Exception):
    """The file is no notebook of format 4; the message says what is wrong."""


def find(names: Sequence[str]) -> list[Path]:
    """The ``.ipynb`` paths meant by ``names``: files or folders, all of ``notebooks/`` without any.

    A script stands for the notebook it is paired with, whether that exists or not; what is
    neither is left out.
    """
    found: set[Path] = set()
    for path in map(Path, names or ["notebooks"]):
        for file in path.rglob("*") if path.is_dir() else [path]:
            if ".ipynb_checkpoints" in file.parts or file.suffix not in (".ipynb", ".py"):
                continue
            if file.suffix == ".ipynb" or _is_script(file):
                found.add(file.with_suffix(".ipynb"))
    return sorted(found)


def _is_script(path: Path) -> bool:
    if path.with_suffix(".ipynb").is_file():
        return True
    return (
        path.is_file() and re.search(r"^# %%", path.read_text(encoding="utf-8"), re.M) is not None
    )


def read(path: Path) -> dict[str, Any]:
    """The notebook at ``path`` as plain values, not to be changed.

    Raises:
        Unreadable: it is not JSON, or not a notebook of format 4.
    """
    try:
        return _parse(read_text(path))
    except ValueError as error:
        raise Unreadable(f"it is not valid JSON ({error})") from error


def read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise Unreadable(f"{path.name} is not text in UTF-8 ({error})") from error


@lru_cache(maxsize=64)
def _parse(text: str) -> dict[str, Any]:
    notebook = json.loads(text)
    if not isinstance(notebook, dict) or notebook.get("nbformat") != 4:
        raise Unreadable("it is not a notebook of format 4")
    for cell in notebook.get("cells", [None]):
        if not (isinstance(cell, dict) and {"cell_type", "metadata", "source"} <= set(cell)):
            raise Unreadable("a cell lacks its type, metadata or source")
    return notebook


def source(cell: dict[str, Any]) -> str:
    """The text of a cell, which a file holds as one string or as lines."""
    return "".join(cell["source"])


def tags(cell: dict[str, Any]) -> list[str]:
    return list(cell["metadata"].get("tags", []))


def canonical(notebook: dict[str, Any]) -> str:
    """The bytes that ``nbformat.write`` would make, so that Jupyter, ruff and we agree."""
    cells = [
        {**cell, "source": source(cell).splitlines(keepends=True)} for cell in notebook["cells"]
    ]
    plain = {**notebook, "cells": cells}
    return json.dumps(plain, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def give_ids(cells: Iterable[dict[str, Any]]) -> None:
    """Give each cell that lacks one an id that follows from its content."""
    seen: set[str] = set()
    for cell in cells:
        name = cell.get("id")
        if not isinstance(name, str) or not re.fullmatch(r"[\w-]{1,64}", name) or name in seen:
            text = f"{cell['cell_type']}\n{source(cell)}"
            count = 0
            while (name := hashlib.sha256(f"{text}\n{count}".encode()).hexdigest()[:8]) in seen:
                count += 1
            cell["id"] = name
        seen.add(str(name))


def write(path: Path, text: str) -> bool:
    """Write ``text`` whole or not at all; False when the file holds it already."""
    if path.is_file() and path.read_bytes() == text.encode():
        return False
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(text.encode())
    temporary.replace(path)
    return True


def report(findings: Iterable[Finding]) -> int:
    """Print the findings; the exit status of a gate."""
    lines = [str(finding) for finding in findings]
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return 1 if lines else 0


def run(
    argv: Sequence[str] | None,
    about: str | None,
    check: Callable[[Path], Iterator[Finding]],
    fix: Callable[[Path], bool] | None = None,
) -> int:
    """The ``main`` of a gate that looks at one notebook at a time."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("files", nargs="*", help="files or folders; without any: notebooks/")
    parser.add_argument("--fix", action="store_true", help="mend what can be mended")
    options = parser.parse_args(argv)
    findings: list[Finding] = []
    for path in find(options.files):
        if not path.is_file():
            continue  # gates.pairs tells of it
        try:
            if options.fix and fix and fix(path):
                print(f"{path}: mended")
            findings += check(path)
        except Unreadable as error:
            findings.append(Finding(NB300, path, str(error)))
    return report(findings)
