"""The program of a notebook, with what several rules ask of it."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property

from ..core.files import Cell, Notebook
from ..core.programs import Place, Program
from ..core.rules import Rule

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
STAMPING = {"strftime", "isoformat", "timestamp", "ctime", "hex", "str", "format", "repr"}
SERVICE = re.compile(r"colab|kaggle|exists|is_?file|is_?dir", re.I)
# After these anything may have a value.
ANYTHING = {"exec", "globals", "locals", "vars", "run_line_magic", "run_cell", "magic"}
FILLING = re.compile(r"%+(run|pylab|load|loadpy|store|reset)\b")
SEEDING = re.compile(r"seed|determinis|reproducib|set_state", re.I)
Found = tuple[Rule, ast.AST | Place, str]


class Code:
    """The program of a notebook, with what several rules ask of it."""

    def __init__(self, notebook: Notebook, program: Program) -> None:
        self.notebook = notebook
        self.program = program
        self.calls = list(program.calls())

    @cached_property
    def parents(self) -> dict[ast.AST, ast.AST]:
        nodes = self.program.walk()
        return {child: node for node in nodes for child in ast.iter_child_nodes(node)}

    def above(self, node: ast.AST) -> Iterator[ast.AST]:
        while node in self.parents:
            node = self.parents[node]
            yield node

    def in_function(self, node: ast.AST) -> bool:
        return any(isinstance(each, Function) for each in self.above(node))

    def only_told(self, node: ast.AST) -> bool:
        """Whether the value is for the eyes alone: printed, logged, part of an error."""
        below = node
        for each in self.above(node):
            if isinstance(each, ast.Raise | ast.Assert):
                return True
            if isinstance(each, ast.Call) and below is not each.func:
                if called(each).lower() in TELLING:
                    return True
                if called(each) not in STAMPING:
                    return False
            if isinstance(each, ast.stmt):
                return False
            below = each
        return False

    @cached_property
    def branches(self) -> list[ast.If]:
        return [node for node in self.program.walk() if isinstance(node, ast.If)]

    @cached_property
    def loads(self) -> dict[str, list[ast.Name]]:
        """Where each name is read."""
        loads: dict[str, list[ast.Name]] = defaultdict(list)
        for node in self.program.walk():
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                loads[node.id].append(node)
        return loads

    def under(self, place: Place, test: re.Pattern[str]) -> bool:
        """Whether the line stands below an ``if`` whose condition matches."""
        for node in self.branches:
            begin = self.program.place(node)
            length = (node.end_lineno or node.lineno) - node.lineno
            if begin.cell == place.cell and 0 <= place.line - begin.line <= length:
                lines = self.program.lines[node.lineno - 1 : node.test.end_lineno]
                if test.search("\n".join(lines)):
                    return True
        return False

    @cached_property
    def not_python(self) -> list[Cell]:
        """Cells whose code is not part of the program: other languages, syntax errors."""
        broken = {place.cell for place in self.program.broken}
        other = {magic.place.cell for magic in self.program.magics if magic.text.startswith("%%")}
        return [cell for cell in self.notebook.code if cell.number in broken | other]


def called(call: ast.Call) -> str:
    """The last part of the name of what is called."""
    function = call.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def shown(node: ast.AST) -> str:
    text = ast.unparse(node)
    return text if len(text) <= 60 else f"{text[:57]}..."


TELLING = {"print", "pprint", "display", "markdown", "html", "log", "debug", "info", "warning"}
TELLING |= {"warn", "error", "critical", "exception"}


def short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."


def shell_lines(code: Code) -> Iterator[tuple[Place, str]]:
    """Lines for the shell: after ! or %, in a cell of bash, or bare, which IPython allows."""
    for magic in code.program.magics:
        yield magic.place, magic.text
    for cell in code.not_python:
        shell = re.match(r"\s*%%(bash|sh|script|!)", cell.source)
        for number, line in enumerate(cell.source.split("\n"), start=1):
            if shell or re.match(r"(pip|conda) install ", line):
                text = line.split("#")[0].strip()
                if text and not text.startswith("%"):
                    yield Place(cell.number, number), text


def sets_a_seed(call: ast.Call) -> bool:
    """Whether the call may fix the global generators, by its name; ``seed()`` alone does not."""
    name = called(call)
    return bool(SEEDING.search(name)) and not (name == "seed" and without_value(call))


def without_value(call: ast.Call) -> bool:
    values = [*call.args, *(keyword.value for keyword in call.keywords)]
    return all(isinstance(value, ast.Constant) and value.value is None for value in values)
