"""No edit is ever lost: random edits of both halves of a pair, with syncs and commits between.

Whatever is typed holds a token that is typed once. After a sync, either nothing was written, or
both halves hold exactly the tokens that were typed and that nobody removed, in one order.

PAIR_SEQUENCES=5000 tries more sequences of edits than the few of every run.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections import Counter
from itertools import count
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gates.core.files import Notebook
from gates.core.gate import Context
from gates.core.settings import Settings
from gates.outputs import canonical
from gates.pairs import halves, percent
from gates.pairs import pairing as pairs

from .conftest import PROJECT, git
from .conftest import SCRIPT as GOOD

pytestmark = pytest.mark.slow
SEQUENCES = int(os.environ.get("PAIR_SEQUENCES", "60"))
SCRIPT, NOTEBOOK = Path("notebooks/01_clicks.py"), Path("notebooks/01_clicks.ipynb")
OWN = Settings(layout="project")
TOKEN = re.compile(r"T\d+T")

CODE = [
    "x = '{}'",
    "def f():\n    return '{}'",
    "%time {}",
    "!ls {}",
    "a = !ls {}\n\n\nb = 1",
    '"""\n# %% {} is no cell\n"""',
    "print('ä € 𝒳 {}')",
    "\n\n{}\n\n",
    "{}?",
    "# %load {}",
    "    # {}",
    "@decorated\nclass A:  # {}\n    pass",
    "# {}\n",
]
MARKDOWN = [
    "{}",
    "# {}\n\n- item",
    "```\n%% {}\n```",
    "cd {}",
    "Schön, € {}\n\n\nmore",
    "*why* {}?",
]
UNFIT = "x = 1\n# %% {}"  # jupytext would make two cells of it
CELLS = [*(("code", text) for text in CODE), *(("markdown", text) for text in MARKDOWN)]
TAGS = [[], ["parameters"], ["a", "b-c"]]

KINDS = ["edit", "add", "remove", "move", "tag", "sync", "commit", "stage"]
# A step: what is done, on which side, and numbers that choose place and text.
STEPS = st.lists(
    st.tuples(
        st.sampled_from([*KINDS, "edit", "edit", "add", "sync", "sync"]),
        st.sampled_from(["py", "ipynb"]),
        st.integers(0, 30),
        st.integers(0, 100),
    ),
    min_size=4,
    max_size=16,
)


class Halves:
    """The two files, edited as people do: the script as text, the notebook as JSON."""

    def __init__(self) -> None:
        self.numbers = count()
        self.base = self.tokens()
        self.moved = False

    def tokens(self) -> list[list[str]]:
        return [TOKEN.findall(path.read_text()) for path in (SCRIPT, NOTEBOOK)]

    def token(self) -> str:
        return f"T{next(self.numbers)}T"

    def step(self, kind: str, side: str, place: int, style: int) -> None:
        self.moved |= kind == "move"
        cells = self.read_script() if side == "py" else self.read_notebook()
        k = place % len(cells) if cells else 0
        if kind == "add" or not cells:
            wanted, text = CELLS[style % len(CELLS)]
            if side == "ipynb" and style % 10 == 7:
                wanted, text = "code", UNFIT
            cells.insert(k, self.cell(wanted, text))
        elif kind == "remove":
            del cells[k]
        elif kind == "move":
            cells.insert(style % len(cells), cells.pop(k))
        elif kind == "tag":
            cells[k]["metadata"]["tags"] = TAGS[style % len(TAGS)]
        else:
            texts = MARKDOWN if cells[k]["cell_type"] == "markdown" else CODE
            text = texts[style % len(texts)].replace("{}", self.token())
            old = cells[k]["source"]
            cells[k]["source"] = f"{old}\n{text}" if style % 3 and old[:1] != "%" else text
        if side == "py":
            self.write_script(cells)
        else:
            content = json.loads(NOTEBOOK.read_text())
            NOTEBOOK.write_text(canonical({**content, "cells": cells}))

    def cell(self, kind: str, text: str) -> dict[str, Any]:
        token = self.token()
        made = {"cell_type": kind, "metadata": {}, "id": token.lower()}
        made["source"] = text.replace("{}", token)
        return made | ({"outputs": [], "execution_count": None} if kind == "code" else {})

    def read_notebook(self) -> list[dict[str, Any]]:
        cells: list[dict[str, Any]] = json.loads(NOTEBOOK.read_text())["cells"]
        for cell in cells:
            cell["source"] = "".join(cell["source"])
        return cells

    def read_script(self) -> list[dict[str, Any]]:
        cells: list[dict[str, Any]] = []
        inside = False
        for line in halves.split(SCRIPT.read_text())[1].split("\n"):
            if line.lstrip().startswith("# %%") and not inside and not self.in_fence(cells):
                kind = "markdown" if "[markdown]" in line else "code"
                tags = re.search(r"tags=(\[.*\])", line)
                metadata = {"tags": json.loads(tags[1])} if tags else {}
                cells.append({"cell_type": kind, "metadata": metadata, "source": "", "raw": []})
            elif cells:
                inside ^= cells[-1]["cell_type"] == "code" and '"""' in line
                cells[-1]["raw"].append(line)
        for cell in cells:
            lines = "\n".join(cell.pop("raw")).rstrip("\n").split("\n")
            if cell["cell_type"] == "markdown":
                lines = [line[2:] for line in lines]
            cell["source"] = "\n".join(lines)
        return cells

    @staticmethod
    def in_fence(cells: list[dict[str, Any]]) -> bool:
        last = cells[-1] if cells else {"cell_type": "code"}
        return last["cell_type"] == "markdown" and last["raw"].count("# ```") % 2 == 1

    def write_script(self, cells: list[dict[str, Any]]) -> None:
        parts = []
        for cell in cells:
            markdown = cell["cell_type"] == "markdown"
            tags = cell["metadata"].get("tags")
            marker = "# %%" + " [markdown]" * markdown
            marker += f" tags={json.dumps(tags)}" if tags else ""
            lines = cell["source"].split("\n")
            if markdown:
                lines = [f"# {line}" if line else "#" for line in lines]
            parts.append("\n".join([marker, *lines]) + "\n")
        SCRIPT.write_text(halves.split(SCRIPT.read_text())[0] + "\n" + "\n".join(parts))

    def sync(self, side: str, resolve: bool, seen: Counter[str]) -> None:
        before = self.tokens()
        old = SCRIPT.read_bytes(), NOTEBOOK.read_bytes()
        ids = self.ids()
        rules = self.bring_in_step()
        seen["refused" if rules else "in step"] += 1
        if not rules:
            left, right = map(set, before)
            base = set(self.base[0])
            self.check((left & right & base) | (left - base) | (right - base), before, ids)
            return
        assert set(rules) <= {"NB302", "NB304"}
        assert (SCRIPT.read_bytes(), NOTEBOOK.read_bytes()) == old
        if not resolve:
            return
        if rules == ["NB304"]:  # the person rewrites the cell
            NOTEBOOK.write_text(NOTEBOOK.read_text().replace("# %% T", "# T"))
            return
        named = set(before[side == "ipynb"]) - set(self.base[0])
        assert self.bring_in_step(side) == []
        assert named <= set(self.tokens()[0])
        self.check(set(self.tokens()[0]), None, {})

    def check(self, wanted: set[str], before: list[list[str]] | None, ids: dict[str, str]) -> None:
        now = self.tokens()
        assert now[0] == now[1]
        assert set(now[0]) == wanted
        assert len(set(now[0])) == len(now[0])
        if before and not self.moved:
            for side in before:
                kept = [token for token in side if token in wanted]
                assert [token for token in now[0] if token in kept] == kept
        after = self.ids()
        assert all(after[content] == name for content, name in ids.items() if content in after)
        self.base, self.moved = now, False

    def bring_in_step(self, side: str | None = None) -> list[str]:
        context = Context(Path.cwd(), OWN)
        if side or list(pairs.check(NOTEBOOK, context)):
            pairs.bring_in_step(NOTEBOOK, context.stamps, side)
        found = [finding.rule.id for finding in pairs.check(NOTEBOOK, context)]
        context.close()
        return found

    def ids(self) -> dict[str, str]:
        """Of every cell that holds a token, which makes it the only one of its kind."""
        return {
            f"{cell['cell_type']} {cell['source'].strip()}": cell["id"]
            for cell in self.read_notebook()
            if TOKEN.search(cell["source"])
        }


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "start"
    (root / "notebooks").mkdir(parents=True)
    monkeypatch.chdir(root)
    SCRIPT.write_text(GOOD)
    git(root, "init", "--quiet")
    context = Context(root, OWN)
    pairs.bring_in_step(NOTEBOOK, context.stamps)
    context.close()
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message", "good")
    return root


def test_no_edit_is_ever_lost(
    start: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: Counter[str] = Counter()

    @settings(
        max_examples=SEQUENCES,
        deadline=None,
        database=None,
        derandomize=SEQUENCES <= 60,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
    )
    @given(STEPS)
    def sequence(steps: list[tuple[str, str, int, int]]) -> None:
        root = start.with_name("pair")
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(start, root)
        monkeypatch.chdir(root)
        seen["sequences"] += 1
        pair = Halves()
        for kind, side, place, style in [*steps, ("sync", "py", 0, 0)]:
            seen[kind] += 1
            if kind == "sync":
                pair.sync(side, resolve=style % 2 == 0, seen=seen)
            elif kind == "commit":
                git(root, "commit", "--quiet", "--all", "--allow-empty", "--message", "more")
            elif kind == "stage":
                git(root, "add", str(SCRIPT if side == "py" else NOTEBOOK))
            else:
                pair.step(kind, side, place, style)

    sequence()
    with capsys.disabled():
        counts = ", ".join(f"{number} {what}" for what, number in seen.most_common())
        print(f"\npairs: {counts}; edits lost: 0")


# --- percent: the same as jupytext, whatever it takes on itself

LINES = st.one_of(
    st.sampled_from(["", "", "x = 1", "def f():", "    return 1", "class A:", "@deco", ")"]),
    st.sampled_from([3 * '"', 3 * "'", 's = """doc"""', 'x = """a', 'end"""', '"', 'p("a\'b")']),
    st.sampled_from(["# %%", "# %% title", "# %% [markdown]", '# %% tags=["a"]', 'a = "# %%"']),
    st.sampled_from(["%time", "!ls", "ls", "cd /tmp", "copy = 1", "x?", "a = !ls", "%%bash"]),
    st.sampled_from(["# comment", "#", "#x", "# + plus", "+ plus", "# # Title", "- item", "---"]),
    st.sampled_from(["```", "```python", "~~~", "# In[3]:", "In[3]", "# <codecell>", "text"]),
    st.sampled_from(
        ["    ", "  indented", "\t\ttab", "ümläut", "a\u2028b", "\\", "x = 5 % 3 != 1"]
    ),
)
METADATA = st.sampled_from(
    [{}, {}, {}, {"tags": ["a"]}, {"tags": []}, {"tags": ["a b"]}, {"slideshow": {"a": 1}}]
)
PLAIN = st.lists(
    st.builds(
        lambda kind, lines, metadata: {
            "cell_type": kind,
            "source": "\n".join(lines),
            "metadata": metadata,
        },
        st.sampled_from(["code", "code", "markdown", "raw"]),
        st.lists(LINES, max_size=6),
        METADATA,
    ),
    min_size=1,
    max_size=5,
)


def by_jupytext(cells: list[dict[str, Any]]) -> str:
    metadata = {"kernelspec": halves.KERNELSPEC}
    plain = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    head, body = halves.split(jupytext.writes(nbformat.from_dict(plain), "py:percent"))
    return halves.VERSIONS.sub("", head) + body


def read_by_jupytext(script: str) -> list[dict[str, Any]]:
    notebook = json.loads(json.dumps(jupytext.reads(script, "py:percent")))
    return [halves._stripped(cell) for cell in notebook["cells"]]


@settings(max_examples=10 * SEQUENCES, deadline=None, derandomize=SEQUENCES <= 60)
@given(PLAIN)
@pytest.mark.filterwarnings("ignore")
def test_plain_notebooks_are_written_and_read_as_by_jupytext(cells: list[dict[str, Any]]) -> None:
    script = percent.write(cells)
    reference = by_jupytext(cells)
    if script is not None:
        assert script == reference
    read = percent.read(reference)
    if read is not None:
        assert read == read_by_jupytext(reference)


@pytest.mark.parametrize("path", sorted((PROJECT / "notebooks").glob("*.ipynb")))
def test_the_projects_notebooks_are_plain(path: Path) -> None:
    cells = [halves._stripped(cell) for cell in Notebook(path).raw["cells"]]
    script = path.with_suffix(".py").read_text()
    assert percent.write(cells) == by_jupytext(cells) == script
    assert percent.read(script) == read_by_jupytext(script)


ODD = [
    ("code", "%matplotlib inline", {}),
    ("code", "x = !ls", {}),
    ("code", "x?", {}),
    ("code", "ls -l", {}),
    ("code", '"""', {}),
    ("code", "  x = 1", {}),
    ("code", "# + x", {}),
    ("code", "a\rb", {}),
    ("code", "x", {"collapsed": True}),
    ("code", "x", {"tags": ["a b"]}),
    ("code", "x", {"tags": ["active-py"]}),
    ("markdown", "%%time", {}),
    ("markdown", "x", {"title": "y"}),
    ("raw", "x", {}),
]


@pytest.mark.parametrize(("kind", "text", "metadata"), ODD)
def test_what_is_odd_is_left_to_jupytext(kind: str, text: str, metadata: dict[str, Any]) -> None:
    assert percent.write([{"cell_type": kind, "source": text, "metadata": metadata}]) is None


@pytest.mark.parametrize(
    "body",
    [
        "",
        "x = 1\n",
        "\n\n# %%\n",
        "# %% title\n",
        "#%%\n",
        "# %% [raw]\n# x\n",
        "# %%\n%time\n",
        "# %%\n# %time\n",
        '# %%\n"""\n\n# %%\nx\n',
        "# %% [markdown]\n# ```\n\n# %%\nx\n",
        "# %% [markdown]\nno comment\n",
        "# %% [markdown]\n# In[3]:\n",
        '# %% name="x"\n',
        '# %% {"tags": ["a"]}\n',
        "    # %%\n    x\n",
    ],
)
def test_an_odd_script_is_left_to_jupytext(body: str) -> None:
    assert percent.read(percent.HEADER + "\n" + body) is None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("percent", "light"),
        ("language: python", "language: R"),
        ("#   jupytext:\n", "#   jupytext:\n#     cell_metadata_filter: -all\n"),
        ("# ---\n", "# ---\n# title: x\n"),
        ("# ---\n", "#!/usr/bin/env python\n# ---\n"),
    ],
)
def test_an_odd_header_is_left_to_jupytext(before: str, after: str) -> None:
    assert percent.read(percent.HEADER.replace(before, after, 1) + "\n# %%\nx\n") is None
