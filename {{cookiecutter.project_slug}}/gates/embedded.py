"""NB322: no large data inside a notebook or a module."""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterator

from .core.files import Cell, File, Notebook
from .core.gate import Context, Gate
from .core.rules import Finding, Rule

NB322 = Rule(
    "NB322",
    "large data inside the file",
    "it makes every diff, clone and start of the editor slow, and stays in the history for good",
    "Save it as a file under data/ or docs/ and load or link it; strip outputs with "
    "`python -m gates --fix`",
    bad="![the funnel](data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAA ...)",
    good="![the funnel](../docs/funnel.png)",
)
RULES = (NB322,)

BASE64 = re.compile(r"data:[\w/+.-]+;base64,[\w+/=\s%-]+")


def check(file: File, context: Context) -> Iterator[Finding]:
    limit = context.settings.embedded_kb * 1000
    if len(file.text) <= limit:
        return
    if isinstance(file, Notebook):
        for cell in file.cells:
            for size, what in _in_cell(cell, limit):
                yield Finding(NB322, file.path, f"{what} of {size // 1000:,} kB", cell.number)
    if file.program is not None:
        for node, size in _literals(file.program.tree, file.program.lines, limit):
            place = file.program.place(node)
            what = f"a literal of {size // 1000:,} kB"
            yield Finding(NB322, file.path, what, place.cell, place.line)


def _in_cell(cell: Cell, limit: int) -> Iterator[tuple[int, str]]:
    if cell.kind == "code":
        size = sum(len(json.dumps(output)) for output in cell.raw.get("outputs", []))
        if size > limit:
            yield size, "an output"
    else:
        for found in BASE64.finditer(cell.source) if len(cell.source) > limit else ():
            if len(found[0]) > limit:
                yield len(found[0]), "a picture or file inside the text"
    for name, content in _items(cell.raw.get("attachments")):
        size = len(json.dumps(content))
        if size > limit:
            yield size, f"the attachment '{name}'"


def _items(value: object) -> list[tuple[object, object]]:
    return list(value.items()) if isinstance(value, dict) else []


def _literals(tree: ast.Module, lines: list[str], limit: int) -> Iterator[tuple[ast.stmt, int]]:
    """Statements so long that they can only be strings or lists written out."""
    for statement in _statements(tree.body):
        size = sum(len(line) for line in lines[statement.lineno - 1 : statement.end_lineno])
        if size > limit:
            yield statement, size


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Simple statements, also those inside functions, classes and blocks."""
    for statement in body:
        inner = [
            below
            for name in ("body", "orelse", "finalbody", "handlers", "cases")
            for below in getattr(statement, name, [])
        ]
        if inner:
            yield from _statements(inner)
        else:
            yield statement


GATE = Gate(RULES, on_file=check)
main = GATE.main

if __name__ == "__main__":
    sys.exit(main())
