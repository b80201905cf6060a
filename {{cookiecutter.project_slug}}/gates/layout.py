"""NB101-NB112: every notebook tells its story in the same order, in pieces that can be read."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .core.files import File, Notebook, source, tags, write
from .core.gate import Context, Gate
from .core.programs import PYTHON_CELLS, Program
from .core.rules import Finding, Rule
from .outputs import canonical

NB101 = Rule(
    "NB101",
    "the name is not of the form NN_snake_case",
    "names sort notebooks in the order to read them, and jobs and scripts can refer to them",
    "Rename it, such as 05_compare_models, the .py and the .ipynb alike",
    bad="notebooks/Untitled-Copy1.ipynb",
    good="notebooks/05_compare_models.ipynb",
    story=True,
)
NB102 = Rule(
    "NB102",
    "the first cell is not '# Title', the only heading of its level",
    "the title is the name of the job's report",
    "Begin the notebook with one Markdown cell '# Title'",
    bad="# Load the data\n...\n# Train the model",
    good="# Compare the models\n...\n## 1. Load the data\n...\n## 2. Train the model",
    story=True,
)
NB103 = Rule(
    "NB103",
    "a section is missing",
    "a reader looks for purpose, summary and conclusions before any code",
    "Add the section as a Markdown cell",
    bad="# Compare the models\n## Imports and configuration\n## 1. Scores",
    good=(
        "# Compare the models\n## Purpose and audience\n## Executive summary\n"
        "## Imports and configuration\n## 1. Scores\n## Conclusions and next steps"
    ),
    story=True,
)
NB104 = Rule(
    "NB104",
    "a section stands in the wrong place",
    "notebooks that share one order can be read, reviewed and reported alike",
    "The order: purpose, executive summary, parameters, imports, numbered sections, conclusions",
    bad="## 1. Scores\n## Executive summary\n## Conclusions and next steps",
    good="## Executive summary\n## 1. Scores\n## Conclusions and next steps",
    story=True,
)
NB105 = Rule(
    "NB105",
    "not exactly one cell is tagged 'parameters'",
    "a job puts its values after this cell; without it they are overwritten in silence",
    'Begin one cell of the .py with: # %% tags=["parameters"]',
    bad="# %%\nusers: int = 1000",
    good='# %% tags=["parameters"]\nusers: int = 1000',
    story=True,
)
NB106 = Rule(
    "NB106",
    "a line of the parameters cell is not 'name: type = value'",
    "the declared type is what a job's values are checked against before a kernel starts",
    "Give type and plain default, such as 'users: int = 1000'; move other code further down",
    bad='# %% tags=["parameters"]\nusers = 1000\nrows = load_rows(users)',
    good='# %% tags=["parameters"]\nusers: int = 1000',
    story=True,
)
NB107 = Rule(
    "NB107",
    "code stands before the parameters cell",
    "it runs before a job's values are set and so cannot depend on them",
    "Move the code below the parameters cell",
    bad='# %%\nrows = load_rows()\n# %% tags=["parameters"]\nusers: int = 1000',
    good='# %% tags=["parameters"]\nusers: int = 1000\n# %%\nrows = load_rows()',
    story=True,
)
NB108 = Rule(
    "NB108",
    "the analysis sections are not numbered 1, 2, 3, ...",
    "numbers let people refer to a section, and show that one is missing",
    "Write '## 1. What is looked at', then '## 2. ...'",
    bad="## 1. Rows and columns\n## Which columns say something",
    good="## 1. Rows and columns\n## 2. Which columns say something",
    story=True,
)
NB109 = Rule(
    "NB109",
    "the cell is too long",
    "nobody reads it, and nothing in it can be run, tested or used again by itself",
    "Split it by what it does; move what is not analysis into functions of src/",
    bad="# %%\nclicks = load_clicks()\n...  # and 60 more lines that clean, join and plot",
    good="# %%\nclicks = clean(load_clicks())\n# %%\nplot(by_day(clicks))",
)
NB110 = Rule(
    "NB110",
    "the function is too long for a notebook",
    "in a notebook it has no tests, and the next notebook gets a copy of it",
    "Move it to a module of src/ and import it",
    bad="# %%\ndef sessions(clicks):\n    ...  # and 30 more lines",
    good="# %%\nfrom shop.sessions import sessions",
)
NB111 = Rule(
    "NB111",
    "the cell is empty",
    "it says nothing, and each is a change that somebody has to review",
    "Run `python -m gates --fix`",
    bad="# %%\nclicks.head()\n# %%",
    good="# %%\nclicks.head()",
)
NB112 = Rule(
    "NB112",
    "an import stands below the imports section",
    "what a notebook needs is seen, and is missing, at its top and not after an hour of running",
    "Move it to the cells below '## Imports and configuration'",
    bad="## Imports and configuration\n...\n## 1. Scores\nimport math",
    good="## Imports and configuration\nimport math\n...\n## 1. Scores",
    story=True,
)
RULES = (
    *(NB101, NB102, NB103, NB104, NB105, NB106, NB107, NB108),
    *(NB109, NB110, NB111, NB112),
)

TYPES = {"datetime", "pathlib", "typing"}  # what a parameters cell may import
MAKERS = {"date", "datetime", "Path", "Secret"}  # what its defaults may call

NUMBERED = re.compile(r"(\d+)\.\s+\S")
IMPORTS = re.compile(r"Imports and \S")
SECTIONS = (  # in their order: a pattern, the name to show, needed or not
    (re.compile(r"Purpose and audience$"), "Purpose and audience", True),
    (re.compile(r"Executive summary$"), "Executive summary", True),
    (re.compile(r"Parameters$"), "Parameters", False),
    (IMPORTS, "Imports and configuration", True),
    (NUMBERED, "1. ...", True),
    (re.compile(r"Conclusions and next steps$"), "Conclusions and next steps", True),
)


def check(file: File, context: Context) -> Iterator[Finding]:
    if not isinstance(file, Notebook):
        return
    if context.settings.layout == "project":
        yield from _story(file)
    yield from _sizes(file, context)
    for number, cell in enumerate(file.raw["cells"], start=1):
        if _empty(cell):
            yield Finding(NB111, file.path, cell=number)


def _story(file: Notebook) -> Iterator[Finding]:
    path, cells = file.path, file.raw["cells"]
    if not re.fullmatch(r"\d{2,}_[a-z0-9]+(_[a-z0-9]+)*", path.stem):
        yield Finding(NB101, path)
    headings = list(_headings(cells))
    titles = [number for number, level, _ in headings if level == 1]
    if titles != [1] or not source(cells[0]).lstrip().startswith("# "):
        yield Finding(NB102, path, cell=titles[1] if len(titles) > 1 else 1)
    sections = [(number, text) for number, level, text in headings if level == 2]
    yield from _sections(path, sections)
    yield from _parameters(path, cells)
    if file.program:
        yield from _imports(path, sections, file.program)


def _sections(path: Path, sections: list[tuple[int, str]]) -> Iterator[Finding]:
    ranks = [_rank(text) for _, text in sections]
    for place, (_, name, needed) in enumerate(SECTIONS):
        if needed and place not in ranks:
            yield Finding(NB103, path, f"the section '## {name}' is missing")
    highest, expected = -1, 1
    for (number, text), rank in zip(sections, ranks, strict=True):
        if rank is None:
            yield Finding(NB108, path, f"the section '## {text}' has no number", number)
            continue
        if rank < highest or (rank == highest and SECTIONS[rank][0] is not NUMBERED):
            yield Finding(NB104, path, f"the section '## {text}' stands too late", number)
        highest = max(highest, rank)
        if found := NUMBERED.match(text):
            if int(found[1]) != expected:
                yield Finding(NB108, path, f"'## {text}' should be number {expected}", number)
            expected = int(found[1]) + 1


def _rank(title: str) -> int | None:
    return next((rank for rank, s in enumerate(SECTIONS) if s[0].match(title)), None)


def _parameters(path: Path, cells: list[dict[str, Any]]) -> Iterator[Finding]:
    code = [
        n for n, c in enumerate(cells, start=1) if c["cell_type"] == "code" and source(c).strip()
    ]
    tagged = [number for number in code if "parameters" in tags(cells[number - 1])]
    if len(tagged) != 1:
        yield Finding(NB105, path, f"{len(tagged) or 'no'} cells are tagged 'parameters'")
        return
    number = tagged[0]
    if code[0] < number:
        yield Finding(NB107, path, cell=code[0])
    try:
        statements = ast.parse(source(cells[number - 1])).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None)
        yield Finding(NB106, path, f"not Python: {getattr(error, 'msg', error)}", number, line)
        return
    for statement in statements:
        if not _typed(statement):
            what = f"'{ast.unparse(statement)}' is no typed parameter"
            yield Finding(NB106, path, what, number, statement.lineno)


def _typed(statement: ast.stmt) -> bool:
    """Whether it is a parameter with a plain default or none, or an import that types need."""
    if isinstance(statement, ast.Import):
        return {each.name for each in statement.names} <= TYPES
    if isinstance(statement, ast.ImportFrom):
        return statement.module in TYPES or {each.name for each in statement.names} == {"Secret"}
    if not (isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)):
        return False
    return statement.value is None or _plain(statement.value)


def _plain(value: ast.expr) -> bool:
    match value:
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return all(map(_plain, items))
        case ast.Dict(keys=keys, values=items):
            return all(each and _plain(each) for each in [*keys, *items])
        case ast.Call(func=function, args=args, keywords=keywords):
            maker = ast.unparse(function).removesuffix(".fromisoformat").rpartition(".")[2]
            return maker in MAKERS and all(map(_plain, [*args, *(k.value for k in keywords)]))
    try:
        ast.literal_eval(value)
    except (ValueError, TypeError):
        return False
    return True


def _imports(path: Path, sections: list[tuple[int, str]], program: Program) -> Iterator[Finding]:
    numbers = [number for number, _ in sections]
    begin = next((number for number, text in sections if IMPORTS.match(text)), None)
    end = next((number for number in numbers if begin and number > begin), None)
    if end is None:
        return
    for statement in program.tree.body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            place = program.place(statement)
            if place.cell and place.cell > end:
                yield Finding(NB112, path, "", place.cell, place.line)


def _sizes(file: Notebook, context: Context) -> Iterator[Finding]:
    functions, cells = context.settings.function_lines, context.settings.cell_lines
    elsewhere: dict[int | None, int] = {}  # lines of long functions, which are told by themselves
    program = file.program
    for node in program.tree.body if program else ():
        if program and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            length = _code_lines(_lines(program, node)) - _code_lines(_docstring(program, node))
            if length > functions:
                place = program.place(node)
                elsewhere[place.cell] = elsewhere.get(place.cell, 0) + length
                kind = "class" if isinstance(node, ast.ClassDef) else "function"
                what = (
                    f"the {kind} {node.name} has {length} lines of code; {functions} is the limit"
                )
                yield Finding(NB110, file.path, what, place.cell, place.line)
    for cell in file.code:
        if not _other_language(cell.source):
            length = _code_lines(cell.source.split("\n")) - elsewhere.get(cell.number, 0)
            if length > cells:
                what = f"the cell has {length} lines of code; {cells} is the limit"
                yield Finding(NB109, file.path, what, cell.number)


def _code_lines(lines: list[str]) -> int:
    """How many lines are neither blank nor a comment alone."""
    return sum(1 for line in lines if (text := line.strip()) and text[0] != "#")


def _lines(program: Program, node: ast.stmt) -> list[str]:
    return program.lines[node.lineno - 1 : node.end_lineno]


def _docstring(
    program: Program, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
) -> list[str]:
    return _lines(program, node.body[0]) if ast.get_docstring(node, clean=False) else []


def _other_language(text: str) -> bool:
    """Whether the cell begins with a magic such as %%html, after which nothing is Python."""
    found = re.match(r"\s*%%(\w+)", text)
    return found is not None and found[1] not in PYTHON_CELLS


def _empty(cell: dict[str, Any]) -> bool:
    """Whether nothing is lost with the cell: no text, tag, attachment or output."""
    kept = (tags(cell), cell.get("attachments"), cell.get("outputs"))
    return not source(cell).strip() and not any(kept)


def fix(path: Path, context: Context) -> bool:
    """Remove empty cells; the script of a pair in step follows, as nobody else's edit is in it."""
    from .pairs import halves, pairing

    notebook = Notebook(path).raw
    cells = [cell for cell in notebook["cells"] if not _empty(cell)]
    if len(cells) == len(notebook["cells"]):
        return False
    pair = halves.read(path) if path.with_suffix(".py").is_file() else None
    in_step = pair is not None and pair.left.cells == pair.right.cells
    written = write(path, canonical({**notebook, "cells": cells}))
    if in_step:
        pairing.bring_in_step(path, context.stamps, "ipynb", mend_header=False)
    return written


def _headings(cells: list[dict[str, Any]]) -> Iterator[tuple[int, int, str]]:
    """Cell number, level and text of each heading outside of code fences."""
    for number, cell in enumerate(cells, start=1):
        if cell["cell_type"] == "markdown":
            text = re.sub(r"^```.*?^```", "", source(cell), flags=re.MULTILINE | re.DOTALL)
            for found in re.finditer(r"^(#{1,6})\s+(.+?)\s*$", text, re.MULTILINE):
                yield number, len(found[1]), found[2]


GATE = Gate(RULES, on_file=check, fix=fix)
main = GATE.main

if __name__ == "__main__":
    sys.exit(main())
