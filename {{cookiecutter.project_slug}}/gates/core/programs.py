"""The code of a notebook or a module as one syntax tree that knows where each line came from."""

from __future__ import annotations

import ast
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

# Cell magics whose body is Python still; after any other the cell holds another language.
PYTHON_CELLS = {"capture", "prun", "time", "timeit"}
MAGIC = re.compile(r"^(\s*)([%!?]{1,2}\S?.*|\S+\?{1,2}\s*)$")
ASSIGNED = re.compile(r"^(\s*)([\w, .\[\]'\"]+?)\s*=\s*([!%][^=\s].*)$")


@dataclass(frozen=True)
class Place:
    """Where a line stands: the cell, if it is of a notebook, and the line in it, from 1."""

    cell: int | None
    line: int


@dataclass(frozen=True)
class Magic:
    """A line for IPython or the shell, such as ``!pip install x`` or ``%matplotlib qt``."""

    text: str
    place: Place


class Program:
    """Statements of all blocks in order. A block that is not Python, or is broken, is left out.

    Args:
        blocks: cell number (None for a module) and text of each block.
    """

    def __init__(self, blocks: Iterable[tuple[int | None, str]]) -> None:
        self.magics: list[Magic] = []
        self.broken: list[Place] = []  # syntax errors, which ruff reports
        self._starts: list[tuple[int, int | None]] = []  # first line of each block, its cell
        self.lines: list[str] = []
        self.tree = ast.Module(body=[], type_ignores=[])
        for cell, text in blocks:
            offset = len(self.lines)
            self._starts.append((offset, cell))
            plain = self._without_magics(cell, text) if cell is not None else text
            self.lines += text.split("\n")
            try:
                # Empty lines before it are a fast way to line numbers that count on.
                self.tree.body += ast.parse("\n" * offset + plain).body
            except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
                line = (getattr(error, "lineno", None) or offset + 1) - offset
                self.broken.append(Place(cell, max(line, 1)))

    def _without_magics(self, cell: int, text: str) -> str:
        lines = text.split("\n")
        first = next((n for n, line in enumerate(lines) if line.strip()), None)
        if first is not None and lines[first].startswith("%%"):
            self.magics.append(Magic(lines[first], Place(cell, first + 1)))
            if lines[first][2:].split()[:1] not in [[name] for name in PYTHON_CELLS]:
                return ""
            lines[first] = ""
        if not re.search(r"^\s*[%!?]|\?\s*$|=\s*[%!]", text, re.M):
            return "\n".join(lines)
        try:
            ast.parse("\n".join(lines))
            return "\n".join(lines)  # the sign stands inside a string
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            pass
        for number, line in enumerate(lines):
            if found := ASSIGNED.match(line):
                self.magics.append(Magic(found[3], Place(cell, number + 1)))
                lines[number] = f"{found[1]}{found[2]} = None"
            elif found := MAGIC.match(line):
                self.magics.append(Magic(line.strip(), Place(cell, number + 1)))
                lines[number] = f"{found[1]}pass"
        return "\n".join(lines)

    def place(self, node: ast.AST | int) -> Place:
        """Where a node, or a line of the whole program, stands."""
        number = node if isinstance(node, int) else getattr(node, "lineno", 1)
        block = bisect_left(self._starts, number, key=lambda start: start[0]) - 1
        offset, cell = self._starts[max(block, 0)]
        return Place(cell, number - offset)

    @cached_property
    def imported(self) -> dict[str, str]:
        """What each imported name stands for: ``np`` is ``numpy``, ``KFold`` the full name."""
        names: dict[str, str] = {}
        for node in self.walk():
            if isinstance(node, ast.Import):
                for alias in node.names:
                    top = alias.name.split(".")[0]
                    names[alias.asname or top] = alias.name if alias.asname else top
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                for alias in node.names:
                    names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        return names

    def dotted(self, node: ast.AST) -> str | None:
        """The full name that a chain such as ``np.random.rand`` means: ``numpy.random.rand``.

        None where it does not begin at an imported name.
        """
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not (isinstance(node, ast.Name) and node.id in self.imported):
            return None
        return ".".join([self.imported[node.id], *reversed(parts)])

    @cached_property
    def _nodes(self) -> list[ast.AST]:
        return list(ast.walk(self.tree))

    def walk(self) -> Iterator[ast.AST]:
        """All nodes, breadth first."""
        return iter(self._nodes)

    def calls(self) -> Iterator[tuple[ast.Call, str | None]]:
        """Every call, with the full name of what is called where that is imported."""
        for node in self.walk():
            if isinstance(node, ast.Call):
                yield node, self.dotted(node.func)
