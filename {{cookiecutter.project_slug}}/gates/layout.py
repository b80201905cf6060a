"""NB101-NB108: every notebook tells its story in the same order."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .notebooks import Finding, Rule, read, run, source, tags

NB101 = Rule(
    "NB101",
    "the name is not of the form NN_snake_case",
    "names sort notebooks in the order to read them, and jobs and scripts can refer to them",
    "Rename it, such as 05_compare_models, the .py and the .ipynb alike",
)
NB102 = Rule(
    "NB102",
    "the first cell is not '# Title', the only heading of its level",
    "the title is the name of the job's report",
    "Begin the notebook with one Markdown cell '# Title'",
)
NB103 = Rule(
    "NB103",
    "a section is missing",
    "a reader looks for purpose, summary and conclusions before any code",
    "Add the section as a Markdown cell",
)
NB104 = Rule(
    "NB104",
    "a section stands in the wrong place",
    "notebooks that share one order can be read, reviewed and reported alike",
    "The order: purpose, executive summary, parameters, imports, numbered sections, conclusions",
)
NB105 = Rule(
    "NB105",
    "not exactly one cell is tagged 'parameters'",
    "a job puts its values after this cell; without it they are overwritten in silence",
    'Begin one cell of the .py with: # %% tags=["parameters"]',
)
NB106 = Rule(
    "NB106",
    "a line of the parameters cell is not 'name: type = value'",
    "the declared type is what a job's values are checked against before a kernel starts",
    "Give type and plain default, such as 'users: int = 1000'; move other code further down",
)
NB107 = Rule(
    "NB107",
    "code stands before the parameters cell",
    "it runs before a job's values are set and so cannot depend on them",
    "Move the code below the parameters cell",
)
NB108 = Rule(
    "NB108",
    "the analysis sections are not numbered 1, 2, 3, ...",
    "numbers let people refer to a section, and show that one is missing",
    "Write '## 1. What is looked at', then '## 2. ...'",
)
RULES = (NB101, NB102, NB103, NB104, NB105, NB106, NB107, NB108)

NUMBERED = re.compile(r"(\d+)\.\s+\S")
SECTIONS = (  # in their order: a pattern, the name to show, needed or not
    (re.compile(r"Purpose and audience$"), "Purpose and audience", True),
    (re.compile(r"Executive summary$"), "Executive summary", True),
    (re.compile(r"Parameters$"), "Parameters", False),
    (re.compile(r"Imports and \S"), "Imports and configuration", True),
    (NUMBERED, "1. ...", True),
    (re.compile(r"Conclusions and next steps$"), "Conclusions and next steps", True),
)


def check(path: Path) -> Iterator[Finding]:
    if not re.fullmatch(r"\d\d_[a-z0-9]+(_[a-z0-9]+)*", path.stem):
        yield Finding(NB101, path)
    cells = read(path)["cells"]
    headings = list(_headings(cells))
    titles = [number for number, level, _ in headings if level == 1]
    if titles != [1] or not source(cells[0]).lstrip().startswith("# "):
        yield Finding(NB102, path, cell=titles[1] if len(titles) > 1 else 1)
    yield from _sections(path, [(number, text) for number, level, text in headings if level == 2])
    yield from _parameters(path, cells)


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
    except SyntaxError as error:
        yield Finding(NB106, path, f"line {error.lineno}: {error.msg}", number)
        return
    for statement in statements:
        if not _typed(statement):
            yield Finding(NB106, path, f"'{ast.unparse(statement)}' is no typed parameter", number)


def _typed(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.ImportFrom):
        return statement.module == "typing"
    if not (isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)):
        return False
    try:
        ast.literal_eval(statement.value or ast.Name("absent"))
    except ValueError:
        return False
    return True


def _headings(cells: list[dict[str, Any]]) -> Iterator[tuple[int, int, str]]:
    """Cell number, level and text of each heading outside of code fences."""
    for number, cell in enumerate(cells, start=1):
        if cell["cell_type"] == "markdown":
            text = re.sub(r"^```.*?^```", "", source(cell), flags=re.MULTILINE | re.DOTALL)
            for found in re.finditer(r"^(#{1,6})\s+(.+?)\s*$", text, re.MULTILINE):
                yield number, len(found[1]), found[2]


def main(argv: Sequence[str] | None = None) -> int:
    return run(argv, __doc__, check)


if __name__ == "__main__":
    sys.exit(main())
