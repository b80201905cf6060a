"""NB1 in detail: what counts as a heading, as a line of code, as empty."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gates.core.gate import Context
from gates.core.settings import Settings
from gates.layout import GATE, fix
from gates.pairs.pairing import GATE as PAIRS

from .faults.layout import section
from .planting import Change, Repository, both, cell, script

LONG = "def add(x):\n" + "    x += 1\n" * 30 + "    return x"
DOCUMENTED = "def add(x):\n    '''Adds.\n" + "    More.\n" * 30 + "    '''\n    return x"


def found(repository: Repository, layout: str = "project") -> list[tuple[str, int | None]]:
    from gates.core.files import load

    context = Context(repository.root, Settings(layout=layout))
    assert GATE.on_file
    findings = GATE.on_file(load(repository.notebook), context)
    return [(finding.rule.id, finding.line) for finding in findings]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (section("### Not a section\n#\n# ```\n# # no title\n# ## no section\n# ```"), []),
        (section("## 2. Next\n#\n# ## 3. And the next"), []),
        (section("## 2. Next\n#\n# ## 4. Left one out"), ["NB108"]),
        (section("## 2. Next\n#\n# ## Executive summary"), ["NB104"]),
        (script(r"users: int = 3", "users: int ="), ["NB106"]),
        (script(r"users: int = 3", "users: int"), []),
        (script(r"users: int = 3", "users: int = ..."), []),
        (
            script(r"users: int = 3", "import datetime as dt\n\nd: dt.date = dt.date(2026, 1, 5)"),
            [],
        ),
        (
            script(r"users: int = 3", "from datetime import date\n\nd: date = date.today()"),
            ["NB106"],
        ),
        (script(r"users: int = 3", "import os"), ["NB106"]),
        (
            script(
                r"users: int = 3", "from shop.jobs import Secret\n\nkey: Secret = Secret('KEY')"
            ),
            [],
        ),
        (script(r"users: int = 3", "users: int = -3"), []),
        (script(r"users: int = 3", "users: list[int] = [1, 2]"), []),
        (script(r"users: int = 3", "from typing import Literal\n\nusers: int = 3"), []),
        (cell(LONG), ["NB110"]),
        (cell(LONG.replace("def add(x):", "async def add(x):")), ["NB110"]),
        (cell(f"class Adder:\n    {LONG.replace(chr(10), chr(10) + '    ')}"), ["NB110"]),
        (cell("def add(x):\n" + "    # more\n\n" * 30 + "    return x"), []),
        (cell(DOCUMENTED), []),
        (cell("\n".join(f"print({number})" for number in range(60))), ["NB109"]),
        (cell(f"{LONG}\n\n\nadd(1)"), ["NB110"]),
        (cell("# %%html\n" + "# <br>\n" * 60), []),
        (cell("# %%time\n" + "print(1)\n" * 60), ["NB109"]),
        (cell("# a comment"), []),
        (cell("", ' tags=["answer"]'), []),
        (cell("try:\n    import math\nexcept ImportError:\n    math = None"), []),
        (cell("from math import pi\n\nprint(pi)"), ["NB112"]),
    ],
)
def test_what_is_found(repository: Repository, change: Change, expected: list[str]) -> None:
    change(repository)
    assert [rule for rule, _ in found(repository)] == expected


def test_a_finding_says_the_line(repository: Repository) -> None:
    both(script("users: int = 3", "users: int = 3\n\nusers = 4"), cell(f"\n\n{LONG}"))(repository)
    assert found(repository) == [("NB106", 3), ("NB110", 1)]


def test_the_story_is_not_asked_of_other_repositories(repository: Repository) -> None:
    script("# ## Executive summary", "# Few.")(repository)
    repository.notebook.rename(repository.notebook.with_stem("Clicks"))
    other = Repository(repository.root, repository.notebook.with_stem("Clicks"), Path("src"))
    assert [rule for rule, _ in found(other)] == ["NB101", "NB103"]
    assert found(other, layout="any") == []


@pytest.mark.parametrize("kind", ["code", "markdown", "raw"])
def test_empty_cells_are_removed_and_others_kept(repository: Repository, kind: str) -> None:
    def empty(**more: Any) -> dict[str, Any]:
        outputs: dict[str, Any] = {"outputs": [], "execution_count": None} if kind == "code" else {}
        return {"cell_type": kind, "metadata": {}, "source": [" \n"]} | outputs | more

    path = repository.notebook
    notebook = json.loads(path.read_text())
    before = [each["id"] for each in notebook["cells"]]
    kept = [
        empty(id="tagged", metadata={"tags": ["keep"]}),
        empty(id="file", attachments={"a": {}}),
    ]
    notebook["cells"] += [empty(id="gone"), *kept]
    path.write_text(json.dumps(notebook))
    assert [rule for rule, _ in found(repository)] == ["NB111"]
    context = Context(repository.root, Settings())
    assert fix(path, context)
    assert not fix(path, context)
    after = [each["id"] for each in json.loads(path.read_text())["cells"]]
    assert after == [*before, "tagged", "file"]


def test_the_script_follows_when_an_empty_cell_is_removed(repository: Repository) -> None:
    before = repository.script.read_text()
    cell("")(repository)
    assert GATE.main(["--fix", str(repository.notebook)]) == 0
    assert PAIRS.main([str(repository.notebook)]) == 0
    assert repository.script.read_text() == before
