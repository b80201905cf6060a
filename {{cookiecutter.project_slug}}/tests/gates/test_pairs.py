"""Pairs: what one side changed the other takes over, and no edit is lost."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import pytest
from jupytext.combine import combine_inputs_with_outputs

from gates import outputs
from gates.core.files import find
from gates.core.gate import Context
from gates.core.rules import Finding
from gates.core.settings import load
from gates.pairs import halves
from gates.pairs import pairing as pairs
from gates.pairs.merge import Version, merge

from .conftest import SCRIPT as GOOD
from .conftest import git
from .planting import Repository

SCRIPT, NOTEBOOK = Path("notebooks/01_clicks.py"), Path("notebooks/01_clicks.ipynb")


@pytest.fixture(autouse=True)
def _in_repository(repository: Repository) -> None:
    """Every test works in its own copy of the small repository."""


def edit(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))


def notebook() -> dict[str, Any]:
    return json.loads(NOTEBOOK.read_text())  # type: ignore[no-any-return]


def change(edit: Callable[[list[dict[str, Any]]], object]) -> None:
    """Change the cells of the notebook."""
    content = notebook()
    edit(content["cells"])
    NOTEBOOK.write_text(json.dumps(content))


def code(text: str, name: str = "new") -> dict[str, Any]:
    empty = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    return {**empty, "id": name, "source": text}


def ids() -> list[str]:
    return [cell["id"] for cell in notebook()["cells"]]


def found(path: Path = NOTEBOOK) -> list[Finding]:
    context = Context(Path.cwd(), load(Path.cwd()))
    findings = list(pairs.check(path, context))
    context.close()
    return findings


def rules(path: Path = NOTEBOOK) -> list[str]:
    return [finding.rule.id for finding in found(path)]


def both() -> tuple[bytes, bytes]:
    return SCRIPT.read_bytes(), NOTEBOOK.read_bytes()


def sync(*arguments: str) -> int:
    return pairs.main([*(arguments or ["--fix"]), "notebooks"])


def commit() -> None:
    git(Path.cwd(), "commit", "--quiet", "--all", "--message", "more")


# --- one side was changed


def test_a_good_pair_is_green_and_untouched() -> None:
    before = both()
    assert sync() == 0
    assert both() == before
    assert nbformat.writes(nbformat.read(NOTEBOOK, 4)) + "\n" == NOTEBOOK.read_text()


def test_the_notebook_follows_its_script_and_keeps_its_ids() -> None:
    before = ids()
    edit(SCRIPT, "count = math", "total = math")
    edit(SCRIPT, "# %% [markdown]\n# ## 1.", "# %%\nnew = 1\n\n# %% [markdown]\n# ## 1.")
    assert "only the .py has changed" in found()[0].what
    assert sync() == 0
    assert "total = math" in NOTEBOOK.read_text()
    assert [name for name in ids() if name in before] == before
    assert len(ids()) == len(before) + 1


def test_the_script_follows_its_notebook_which_is_not_touched() -> None:
    edit(NOTEBOOK, "count = math", "total = math")
    before = NOTEBOOK.read_bytes()
    assert "only the .ipynb has changed" in found()[0].what
    assert sync() == 0
    assert SCRIPT.read_text() == GOOD.replace("count = math", "total = math")
    assert NOTEBOOK.read_bytes() == before


def test_a_cell_that_moves_keeps_what_only_the_notebook_holds() -> None:
    picture = {"a.png": {"image/png": "AAAA"}}
    change(lambda cells: cells[-2].update(attachments=picture, metadata={"slideshow": {}}))
    assert sync() == 0
    before = notebook()["cells"]
    *cells, heading, last = SCRIPT.read_text().split("# %%")
    SCRIPT.write_text("# %%".join([*cells[:-1], heading, cells[-1], last]))
    assert sync() == 0
    after = notebook()["cells"]
    assert [cell["id"] for cell in after[-3:]] == [before[k]["id"] for k in (-2, -3, -1)]
    assert after[-3]["attachments"] == picture
    assert after[-3]["metadata"] == {"slideshow": {}}


def test_outputs_stay_where_the_code_does() -> None:
    shown = [{"name": "stdout", "output_type": "stream", "text": ["x"]}]
    change(lambda cells: [c.update(outputs=shown) for c in cells if c["cell_type"] == "code"])
    edit(SCRIPT, "count = math", "total = math")
    assert sync() == 0
    kept = [cell["outputs"] for cell in notebook()["cells"] if cell["cell_type"] == "code"]
    assert kept == [shown, shown, [], shown]


def test_tags_are_taken_over_both_ways() -> None:
    edit(SCRIPT, "# %%\nimport math", '# %% tags=["hide-input"]\nimport math')
    assert sync() == 0
    assert notebook()["cells"][3]["metadata"] == {"tags": ["hide-input"]}
    change(lambda cells: cells[3].update(metadata={"tags": ["other"]}))
    assert sync() == 0
    assert '# %% tags=["other"]\nimport math' in SCRIPT.read_text()


@pytest.mark.parametrize("path", [SCRIPT, NOTEBOOK])
def test_a_missing_partner_is_red_and_made_again(path: Path) -> None:
    edit(SCRIPT, "count = math", "total = math")  # so that ids do not follow from the content
    assert sync() == 0
    content = path.read_bytes()
    path.unlink()
    assert f"{path.name} is missing" in found()[0].what
    assert sync() == 0
    assert path.read_bytes() == content


def test_a_second_edit_before_a_commit_is_still_one_side() -> None:
    for name in ("first", "second"):
        edit(SCRIPT, " = math", f"_{name} = math")
        assert sync() == 0
    assert "count_first_second = math" in NOTEBOOK.read_text()


def test_an_edit_that_is_taken_back_after_a_commit_is_an_edit() -> None:
    edit(NOTEBOOK, "count = math", "total = math")
    assert sync() == 0
    commit()
    edit(NOTEBOOK, "total = math", "count = math")
    assert sync() == 0
    assert SCRIPT.read_text() == GOOD


def test_git_head_decides_where_no_state_in_step_is_known() -> None:
    forget()
    edit(NOTEBOOK, "count = math", "total = math")
    assert sync() == 0
    assert "total = math" in SCRIPT.read_text()


def forget() -> None:
    Path(".git/gates-pairs.json").unlink()
    shutil.rmtree(".git/gates-pairs")


def test_versions_in_the_header_are_red_and_mended() -> None:
    edit(SCRIPT, "percent\n", "percent\n#       jupytext_version: 1.19.6\n")
    assert rules() == ["NB303"]
    assert sync() == 0
    assert SCRIPT.read_text() == GOOD


def test_a_script_of_another_format_becomes_one_of_this() -> None:
    light = jupytext.writes(jupytext.read(NOTEBOOK), "py:light")
    SCRIPT.write_text(light)
    assert rules() == ["NB303"]
    assert sync() == 0
    assert SCRIPT.read_text() == GOOD


# --- both were changed


def test_edits_of_different_cells_are_merged() -> None:
    before = ids()
    edit(SCRIPT, "import math", "import math\nimport random")
    edit(NOTEBOOK, "count = math", "total = math")  # the next cell but one
    edit(SCRIPT, "# ## 1. Count", "# ## 1. Count clicks")  # the one between
    change(lambda cells: cells.append(code("total + 1")))
    assert "in different cells" in found()[0].what
    assert sync() == 0
    for path in (SCRIPT, NOTEBOOK):
        text = path.read_text()
        for part in ("import random", "total = math", "Count clicks", "total + 1"):
            assert part in text
    assert ids() == [*before, "new"]


def test_edits_of_the_same_cell_are_refused_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    edit(SCRIPT, "count = math", "ours = math")
    edit(NOTEBOOK, "count = math", "theirs = math")
    edit(NOTEBOOK, "There are some", "There are many")
    before = both()
    assert sync() == 1
    assert both() == before
    shown = capsys.readouterr().out
    for part in (
        "cell 6: NB302 both have changed cell 6",
        "--- notebooks/01_clicks.py, cell 6",
        "+++ notebooks/01_clicks.ipynb, cell 6",
        "-ours = math",
        "+theirs = math",
        "--from py FILE",
    ):
        assert part in shown
    assert "There are many" not in shown


@pytest.mark.parametrize(("side", "wins"), [("py", "ours"), ("ipynb", "theirs")])
def test_the_named_side_wins_only_where_both_changed(side: str, wins: str) -> None:
    edit(SCRIPT, "count = math", "ours = math")
    edit(SCRIPT, "import math", "import math\nimport random")
    edit(NOTEBOOK, "count = math", "theirs = math")
    edit(NOTEBOOK, "There are some", "There are many")
    assert pairs.main(["--from", side, str(SCRIPT)]) == 0
    for path in (SCRIPT, NOTEBOOK):
        text = path.read_text()
        for part in (f"{wins} = math", "import random", "There are many"):
            assert part in text
    assert rules() == []


@pytest.mark.parametrize("path", [SCRIPT, NOTEBOOK])
def test_a_pair_that_is_half_staged_is_left_alone(path: Path) -> None:
    edit(SCRIPT, "count = math", "total = math")
    assert sync() == 0
    git(Path.cwd(), "checkout", str(path))  # as pre-commit does with what is not staged
    before = both()
    assert sync() == 1
    assert both() == before


@pytest.mark.parametrize("path", [SCRIPT, NOTEBOOK])
def test_a_pair_of_which_half_an_older_state_is_staged_is_left_alone(path: Path) -> None:
    edit(SCRIPT, "count = math", "total = math")
    assert sync() == 0
    git(Path.cwd(), "add", ".")
    edit(SCRIPT, "total = math", "sum = math")
    assert sync() == 0
    git(Path.cwd(), "add", str(NOTEBOOK if path == SCRIPT else SCRIPT))
    git(Path.cwd(), "checkout", "--", str(path))
    before = both()
    assert rules() == ["NB302"]
    assert sync() == 1
    assert both() == before


@pytest.mark.parametrize("side", ["py", "ipynb"])
def test_a_half_staged_pair_is_the_named_side_altogether(side: str) -> None:
    edit(SCRIPT, "count = math", "total = math")
    assert sync() == 0
    git(Path.cwd(), "checkout", str(NOTEBOOK))
    assert pairs.main(["--from", side, str(NOTEBOOK)]) == 0
    assert ("total = math" in SCRIPT.read_text()) == (side == "py")
    assert ("total = math" in NOTEBOOK.read_text()) == (side == "py")


def test_a_head_out_of_step_decides_nothing() -> None:
    edit(SCRIPT, "count = math", "total = math")
    commit()
    forget()
    edit(NOTEBOOK, "There are some", "There are many")
    before = both()
    assert rules() == ["NB302"]
    assert sync() == 1
    assert both() == before


def test_without_git_only_a_person_can_decide() -> None:
    shutil.rmtree(".git")
    edit(SCRIPT, "count = math", "total = math")
    assert sync() == 1
    assert sync("--from", "py") == 0
    assert "total = math" in NOTEBOOK.read_text()


def test_a_state_that_git_has_undone_does_not_undo_an_edit() -> None:
    edit(SCRIPT, "users: int = 3", "users: int = 5")
    edit(SCRIPT, "import math", "import math\nimport random")
    assert sync() == 0
    git(Path.cwd(), "checkout", "--quiet", ".")
    edit(SCRIPT, "users: int = 3", "users: int = 5")  # which in that state both had
    edit(NOTEBOOK, "There are some", "There are many")
    before = both()
    assert rules() == ["NB302"]
    assert sync() == 1
    assert both() == before


def test_after_a_pull_the_commit_is_what_both_started_from() -> None:
    edit(SCRIPT, "count = math", "total = math")
    assert sync() == 0
    commit()
    for path in (SCRIPT, NOTEBOOK):  # as somebody else's commit does
        edit(path, "total = math", "sum = math")
    commit()
    edit(NOTEBOOK, "sum = math", "mean = math")
    assert sync() == 0
    assert "mean = math" in SCRIPT.read_text()


def test_a_state_of_another_branch_does_not_matter() -> None:
    edit(SCRIPT, "import math", "import math\nimport random")
    assert sync() == 0
    git(Path.cwd(), "checkout", "--quiet", ".")
    edit(SCRIPT, "users: int = 3", "users: int = 5")
    assert sync() == 0
    assert "users: int = 5" in NOTEBOOK.read_text()


# --- what could go wrong on the way


@pytest.mark.parametrize("broken", ["before the script", "before the note"])
def test_a_crash_between_the_two_files_loses_nothing(
    monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    edit(SCRIPT, "import math", "import math\nimport random")
    edit(NOTEBOOK, "count = math", "total = math")
    change(lambda cells: cells.insert(1, code("x = 1")))
    written: list[Path] = []

    def write(path: Path, text: str) -> bool:
        if broken == "before the script" and written:
            raise KeyboardInterrupt
        written.append(path)
        path.write_text(text)
        return True

    def note(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pairs, "write", write)
        if broken == "before the note":
            patch.setattr("gates.pairs.stamps.Stamps.note", note)
        with pytest.raises(KeyboardInterrupt):
            sync()
    assert written[0] == NOTEBOOK
    for path in (SCRIPT, NOTEBOOK) if broken == "before the note" else (NOTEBOOK,):
        assert "import random" in path.read_text()
    assert sync() == 0
    for path in (SCRIPT, NOTEBOOK):
        text = path.read_text()
        for part in ("import random", "total = math", "x = 1"):
            assert part in text


def test_a_file_that_is_saved_meanwhile_is_not_written_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    edit(SCRIPT, "count = math", "total = math")
    made = halves.texts

    def slow(*arguments: Any, **options: Any) -> Any:
        edit(NOTEBOOK, "There are some", "There are many")
        return made(*arguments, **options)

    monkeypatch.setattr(halves, "texts", slow)
    monkeypatch.setattr(pairs.halves, "texts", slow)
    context = Context(Path.cwd(), load(Path.cwd()))
    assert pairs.bring_in_step(NOTEBOOK, context.stamps) == []
    assert "There are many" in NOTEBOOK.read_text()


@pytest.mark.parametrize("name", ["gates-pairs.json", "gates-pairs"])
def test_a_broken_note_is_as_none(name: str) -> None:
    path = Path(".git", name)
    for file in [path] if path.is_file() else path.iterdir():
        file.write_bytes(b'{"half')
    edit(SCRIPT, "count = math", "total = math")
    assert sync() == 0
    assert "total = math" in NOTEBOOK.read_text()


@pytest.mark.parametrize(
    "text",
    [
        "x = 1\n# %% second half\ny = 2",
        "x = 1\n# In[3]:\ny = 2",
        'x = """\nnever ended',
        "x = 'a\u2028b'",
        "if True:\n    files = !ls",
    ],
)
def test_a_cell_that_the_script_cannot_hold_is_left_alone(text: str) -> None:
    edit(SCRIPT, "There are some", "There are many")
    change(lambda cells: cells.insert(4, code(text)))
    before = both()
    assert [(finding.rule.id, finding.cell) for finding in found()] == [("NB304", 5)]
    assert sync() == 1
    assert both() == before
    assert sync("--from", "py") == 0
    assert "There are many" in NOTEBOOK.read_text()


ODD = [  # cells that need jupytext, which the script can hold
    "%matplotlib inline\nx = 1",
    "!ls -l\nfiles = !ls",
    "%%time\nx = 1",
    "%%bash\nls -l",
    "x?",
    '"""\n# %% not a cell\n"""',
    "# %matplotlib inline",
    "    \n  x = 1",
    "zß = 'ä€𝒳'",
    "",
]


@pytest.mark.parametrize("text", ODD)
def test_odd_cells_come_back_as_they_were(text: str) -> None:
    change(lambda cells: cells.insert(4, code(text)))
    assert sync() == 0
    edit(SCRIPT, "There are some", "There are many")
    assert sync() == 0
    assert "".join(notebook()["cells"][4]["source"]) == text


def test_a_notebook_that_cannot_be_read_is_made_from_its_script() -> None:
    NOTEBOOK.write_text("<<<<<<< HEAD\n")
    assert sync() == 1
    assert sync("--from", "py") == 0
    assert rules() == []


def test_a_large_notebook_is_no_trouble() -> None:
    shown = [{"name": "stdout", "output_type": "stream", "text": ["x" * 5_000_000]}]
    change(lambda cells: cells[-1].update(outputs=shown))
    edit(SCRIPT, "count = math", "total = math")
    assert sync() == 0


def test_help_says_what_the_named_side_wins(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        pairs.main(["--help"])
    assert "edits of both are" in capsys.readouterr().out


# --- which files are pairs


def test_a_script_stands_for_its_notebook() -> None:
    assert find([SCRIPT]) == [NOTEBOOK]


def test_a_module_called_like_a_notebook_is_no_script() -> None:
    module = Path("src/train.py")
    module.write_text("rows = 1\n")
    NOTEBOOK.rename(module.with_suffix(".ipynb"))
    assert find(["src/train.py"]) == [module]


@pytest.fixture
def elsewhere() -> None:
    """A repository that was not generated."""
    Path("pyproject.toml").write_text("[project]\nname = 'a'\n")


def declare(where: str) -> None:
    if where == "script":
        edit(SCRIPT, "#   jupytext:\n", "#   jupytext:\n#     formats: ipynb,py:percent\n")
    elif where == "notebook":
        content = notebook()
        content["metadata"]["jupytext"] = {"formats": "ipynb,py:percent"}
        NOTEBOOK.write_text(json.dumps(content))
    elif where:
        Path(where).write_text(
            ("[tool.jupytext]\n" if where == "pyproject.toml" else "")
            + 'formats = "ipynb,py:percent"\n'
        )


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("where", ["", "script", "notebook", "pyproject.toml", "jupytext.toml"])
def test_elsewhere_pairs_are_those_that_say_so(where: str) -> None:
    pairs._configured.cache_clear()
    declare(where)
    commit()
    assert rules() == []
    edit(SCRIPT, "count = math", "total = math")
    assert rules() == (["NB301"] if where else [])
    if where:
        metadata = notebook()["metadata"]
        assert sync("--from", "py") == 0
        assert notebook()["metadata"] == metadata
        assert ("formats" in SCRIPT.read_text()) == (where == "script")
        NOTEBOOK.unlink()
        assert rules() == ([] if where == "notebook" else ["NB301"])


@pytest.mark.usefixtures("elsewhere")
def test_elsewhere_a_header_with_versions_and_other_formats_are_left_alone() -> None:
    edit(SCRIPT, "percent\n", "percent\n#       jupytext_version: 1.19.6\n")
    assert rules() == []
    declare("notebook")
    assert rules() == []
    SCRIPT.write_text(jupytext.writes(jupytext.read(NOTEBOOK), "py:light") + "\nmore = 1\n")
    assert rules() == []


def test_a_half_that_git_ignores_need_not_be_there() -> None:
    git(Path.cwd(), "rm", "--quiet", "--cached", str(NOTEBOOK))
    Path(".gitignore").write_text("*.ipynb\n")
    NOTEBOOK.unlink()
    assert rules() == []


def test_a_notebook_of_another_language_needs_no_py() -> None:
    content = notebook()
    content["metadata"] = {"kernelspec": {"name": "ir", "language": "R", "display_name": "R"}}
    path = Path("notebooks/02_r.ipynb")
    path.write_text(json.dumps(content))
    assert rules(path) == []


# --- JupyterLab with jupytext: it reads the inputs from the script, all else from the notebook


def test_what_jupyterlab_saves_is_mended_without_loss() -> None:
    before = ids()
    edit(SCRIPT, "count = math", "total = math")
    opened = combine_inputs_with_outputs(
        jupytext.read(SCRIPT, fmt="py:percent"), jupytext.read(NOTEBOOK), fmt="py:percent"
    )
    assert [cell["id"] for cell in opened.cells] == before
    opened.cells[3].source += "\nimport random"
    opened.cells[3].outputs = [nbformat.v4.new_output("stream", text="x")]
    opened.metadata["language_info"] = {"name": "python", "version": "3.11.7"}
    nbformat.write(opened, NOTEBOOK)
    SCRIPT.write_text(jupytext.writes(opened, "py:percent"))
    assert outputs.main(["--fix", str(NOTEBOOK)]) == 0
    assert sync() == 0
    assert ids() == before
    for path in (SCRIPT, NOTEBOOK):
        assert "import random" in path.read_text()
        assert "total = math" in path.read_text()
    assert "jupytext_version" not in SCRIPT.read_text()


def test_jupytext_finds_a_pair_that_was_brought_in_step_equal() -> None:
    edit(SCRIPT, "count = math", "total = math")
    assert sync() == 0
    as_scripts = [
        jupytext.writes(jupytext.read(path, fmt=fmt), "py:percent")
        for path, fmt in ((SCRIPT, "py:percent"), (NOTEBOOK, "ipynb"))
    ]
    assert as_scripts[0] == as_scripts[1]


# --- speed


def test_neither_jupytext_nor_nbformat_is_imported_for_plain_notebooks() -> None:
    edit(SCRIPT, "count = math", "total = math")
    edit(NOTEBOOK, "There are some", "There are many")
    check = (
        "import sys; from gates import pairs; assert pairs.main(['--fix', 'notebooks']) == 0; "
        "assert not {'jupytext', 'nbformat', 'yaml'} & set(sys.modules)"
    )
    root = Path(halves.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", check], env={"PYTHONPATH": str(root), "PATH": "/usr/bin:/bin"}
    )
    assert done.returncode == 0
    assert "total = math" in NOTEBOOK.read_text()


# --- the merge itself: letters are cells, those with a digit were edited

MERGES = [  # base, left, right, the result; without one: refused
    ("abc", "abc", "abc", "abc"),
    ("abc", "a1bc", "abc", "a1bc"),
    ("abc", "a1bc", "ab1c", "a1b1c"),
    ("abc", "a1bc", "a1bc", "a1bc"),
    ("abc", "a1bc", "a2bc", None),
    ("abc", "ac", "abc", "ac"),
    ("abc", "ac", "ac", "ac"),
    ("abc", "ac", "ab", "a"),
    ("abc", "ac", "ab1c", None),
    ("abc", "xabc", "abcy", "xabcy"),
    ("abc", "axbc", "axbc", "axbc"),
    ("abc", "axbc", "aybc", None),
    ("abc", "axbc", "ab1c", "axb1c"),
    ("abc", "axbc", "ac", None),  # beside a cell that the other removed
    ("abc", "bca", "abc", "bca"),
    ("abc", "bca", "abc1", "bc1a"),
    ("abc", "bca", "a1bc", None),
    ("abc", "bca", "bc", None),
    ("abc", "bca1", "bc", None),  # moved and edited, and removed
    ("abcdx", "bacdx", "abcxd", "bacxd"),
    ("abc", "", "abc", ""),
    ("", "a", "", "a"),
    ("", "a", "b", None),
    ("abab", "abab", "ab1ab", "ab1ab"),
]
WORDS = {letter: " ".join(letter * k for k in range(1, 9)) for letter in "abcdxy"}


def version(short: str) -> Version:
    cells = []
    for sign in short:
        if sign.isdigit():
            kind, text, more = cells.pop()
            cells.append((kind, f"{text} {sign}", more))
        else:
            cells.append(("code", WORDS[sign], "{}"))
    return Version(cells)


@pytest.mark.parametrize(("base", "left", "right", "wanted"), MERGES)
@pytest.mark.parametrize("turned", [False, True])
def test_merge(base: str, left: str, right: str, wanted: str | None, turned: bool) -> None:
    if turned:
        left, right = right, left
    sides = version(left), version(right)
    done = merge(version(base), *sides)
    if wanted is None:
        assert done.clashes
    else:
        assert not done.clashes
        taken = [sides[each.side].cells[each.number] for each in done.taken]
        assert taken == version(wanted).cells


@pytest.mark.parametrize(("base", "left", "right", "wanted"), MERGES)
def test_the_preferred_side_of_a_merge_loses_nothing_it_has(
    base: str, left: str, right: str, wanted: str | None
) -> None:
    sides = version(left), version(right)
    for prefer in (0, 1):
        done = merge(version(base), *sides, prefer)
        taken = [sides[each.side].cells[each.number] for each in done.taken]
        new = set(sides[prefer].cells) - set(version(base).cells)
        assert new <= set(taken)
        assert len({each.twin for each in done.taken if each.twin is not None}) == sum(
            each.twin is not None for each in done.taken
        )


def test_cells_are_known_by_their_ids_when_all_else_changed() -> None:
    base = Version(version("abc").cells, ["1", "2", "3"])
    right = Version(
        [("code", "quite another thing", "{}"), *version("xbc").cells], ["1", "9", "2", "3"]
    )
    done = merge(base, version("a1bc"), right)
    assert [clash.right for clash in done.clashes] == [[0]]
