"""Gates: every rule is red on its fault and green on its twin, and mending loses nothing."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from gates import configs, layout, outputs, pairs
from gates.notebooks import NB300, find

PROJECT = Path(__file__).parents[1]
PACKAGE = "{{cookiecutter.package_name}}"
GOOD = """\
# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Clicks
#
# ## Purpose and audience

# %% [markdown]
# ## Executive summary

# %% tags=["parameters"]
users: int = 3

# %% [markdown]
# ## Imports and configuration

# %%
import math

# %% [markdown]
# ## 1. Count

# %%
count = math.factorial(users)

# %% [markdown]
# ## Conclusions and next steps

# %%
count
"""


def git(*arguments: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A repository with one good pair, committed; the current folder is its root."""
    monkeypatch.chdir(tmp_path)
    git("init", "--quiet")
    script = tmp_path / "notebooks" / "01_clicks.py"
    script.parent.mkdir()
    script.write_text(GOOD)
    assert pairs.main(["--fix"]) == 0
    git("add", ".")
    git("commit", "--quiet", "--message", "good")
    yield tmp_path


SCRIPT, NOTEBOOK = Path("notebooks/01_clicks.py"), Path("notebooks/01_clicks.ipynb")


def edit(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))


def notebook() -> dict[str, Any]:
    return json.loads(NOTEBOOK.read_text())  # type: ignore[no-any-return]


def ids() -> list[str]:
    return [cell["id"] for cell in notebook()["cells"]]


def reported(capsys: pytest.CaptureFixture[str]) -> set[str]:
    lines = [line.split(": ", 1) for line in capsys.readouterr().out.splitlines()]
    return {line[1].split()[0] for line in lines if len(line) > 1 and line[1][:2] in ("NB", "CF")}


def test_a_good_project_is_green_and_untouched(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in (SCRIPT, NOTEBOOK)}
    for gate in (outputs, pairs, layout):
        assert gate.main(["--fix"]) == 0
        assert gate.main([]) == 0
    assert capsys.readouterr().out == ""
    assert {path: path.read_bytes() for path in before} == before


def test_a_notebook_has_the_bytes_that_jupyter_would_write(project: Path) -> None:
    assert nbformat.writes(nbformat.read(NOTEBOOK, 4)) + "\n" == NOTEBOOK.read_text()


# --- layout

LAYOUT_FAULTS = [
    ("NB102", "# # Clicks", "# Clicks"),
    ("NB102", "# ## 1. Count", "# # Count\n#\n# ## 1. Count"),
    ("NB103", "# ## Executive summary", "# Few."),
    ("NB103", "# ## Conclusions and next steps", "# The end."),
    ("NB104", "# ## Executive summary", "# ## 1. Early\n#\n# ## Executive summary"),
    ("NB105", ' tags=["parameters"]', ""),
    ("NB105", "# %%\nimport math", '# %% tags=["parameters"]\nimport math'),
    ("NB106", "users: int = 3", "users = 3"),
    ("NB106", "users: int = 3", "users: int = len('abc')"),
    ("NB106", "users: int = 3", "users: int ="),
    ("NB107", "# %% tags=", "# %%\nimport os\n\n# %% tags="),
    ("NB108", "# ## 1. Count", "# ## 1. Count\n#\n# ## 3. Left out"),
    ("NB108", "# ## 1. Count", "# ## 1. Count\n#\n# ## Without a number"),
]


@pytest.mark.parametrize(("rule", "before", "after"), LAYOUT_FAULTS)
def test_a_layout_fault_is_red(
    project: Path, capsys: pytest.CaptureFixture[str], rule: str, before: str, after: str
) -> None:
    edit(SCRIPT, before, after)
    pairs.main(["--fix"])
    capsys.readouterr()
    assert layout.main([]) == 1
    assert rule in reported(capsys)


@pytest.mark.parametrize("name", ["clicks", "01_Clicks", "1_clicks", "01-clicks"])
def test_a_name_out_of_form_is_red(
    project: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    NOTEBOOK.rename(NOTEBOOK.with_stem(name))
    assert layout.main([]) == 1
    assert reported(capsys) == {"NB101"}


def test_a_heading_inside_a_code_fence_is_none(project: Path) -> None:
    edit(SCRIPT, "# ## 1. Count", "# ## 1. Count\n#\n# ```\n# # no title\n# ## no section\n# ```")
    pairs.main(["--fix"])
    assert layout.main([]) == 0


# --- outputs


def dirty(rule: str) -> None:
    content = notebook()
    cell = content["cells"][2]
    if rule == "NB311":
        cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": ["x"]}]
    elif rule == "NB312":
        cell["execution_count"] = 3
    elif rule == "NB313":
        cell["metadata"]["papermill"] = {"duration": 1}
    else:
        del cell["id"]
    NOTEBOOK.write_text(json.dumps(content))


@pytest.mark.parametrize("rule", ["NB311", "NB312", "NB313", "NB314"])
def test_what_a_machine_added_is_red_and_mended(
    project: Path, capsys: pytest.CaptureFixture[str], rule: str
) -> None:
    before = NOTEBOOK.read_bytes()
    dirty(rule)
    assert outputs.main([str(NOTEBOOK)]) == 1
    assert reported(capsys) == {rule}
    assert outputs.main(["--fix", str(NOTEBOOK)]) == 0
    if rule != "NB314":  # an id that is gone cannot be known again
        assert NOTEBOOK.read_bytes() == before
    assert pairs.main([]) == 0


def test_a_kernel_of_one_machine_is_red(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(NOTEBOOK, '"display_name": "Python 3"', '"display_name": "my env"')
    assert outputs.main([]) == 1
    assert reported(capsys) == {"NB313"}


@pytest.mark.parametrize("text", ["", "[]", '{"nbformat": 3}', '{"nbformat": 4, "cells": [{}]}'])
def test_a_file_that_is_no_notebook_is_a_finding(
    project: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    NOTEBOOK.write_text(text)
    for gate in (outputs, pairs, layout):
        assert gate.main(["--fix"]) == 1
        assert NB300.id in reported(capsys)
    assert NOTEBOOK.read_text() == text


# --- pairs


def test_the_notebook_follows_its_script_and_keeps_its_ids(project: Path) -> None:
    before = ids()
    edit(SCRIPT, "count = math", "total = math")
    edit(SCRIPT, "# %% [markdown]\n# ## 1.", "# %%\nnew = 1\n\n# %% [markdown]\n# ## 1.")
    assert pairs.main([]) == 1
    assert pairs.main(["--fix"]) == 0
    after = ids()
    assert "total = math" in NOTEBOOK.read_text()
    assert [name for name in after if name in before] == before
    assert len(after) == len(before) + 1


def test_the_script_follows_its_notebook(project: Path) -> None:
    edit(NOTEBOOK, "count = math", "total = math")
    assert pairs.main([]) == 1
    assert pairs.main(["--fix"]) == 0
    assert SCRIPT.read_text() == GOOD.replace("count = math", "total = math")


@pytest.mark.parametrize("path", [SCRIPT, NOTEBOOK])
def test_a_missing_partner_is_red_and_made_again(
    project: Path, capsys: pytest.CaptureFixture[str], path: Path
) -> None:
    content = path.read_bytes()
    path.unlink()
    assert pairs.main([]) == 1
    assert reported(capsys) == {"NB301"}
    assert pairs.main(["--fix"]) == 0
    assert path.read_bytes() == content


def test_edits_of_both_sides_are_refused_and_shown(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(SCRIPT, "count = math", "ours = math")
    edit(NOTEBOOK, "count = math", "theirs = math")
    before = SCRIPT.read_bytes(), NOTEBOOK.read_bytes()
    assert pairs.main(["--fix"]) == 1
    assert (SCRIPT.read_bytes(), NOTEBOOK.read_bytes()) == before
    shown = capsys.readouterr().out
    assert "-ours = math" in shown
    assert "+theirs = math" in shown
    assert "NB302" in shown
    assert pairs.main(["--from", "ipynb", str(SCRIPT)]) == 0
    assert "theirs = math" in SCRIPT.read_text()


def test_a_second_edit_before_a_commit_is_still_one_side(project: Path) -> None:
    for name in ("first", "second"):
        edit(SCRIPT, " = math", f"_{name} = math")
        assert pairs.main(["--fix"]) == 0
    assert "count_first_second = math" in NOTEBOOK.read_text()


@pytest.mark.parametrize("path", [SCRIPT, NOTEBOOK])
def test_a_pair_that_is_half_staged_is_left_alone(project: Path, path: Path) -> None:
    edit(SCRIPT, "count = math", "total = math")
    assert pairs.main(["--fix"]) == 0
    git("checkout", str(path))  # as pre-commit does with what is not staged
    before = SCRIPT.read_bytes(), NOTEBOOK.read_bytes()
    assert pairs.main(["--fix"]) == 1
    assert (SCRIPT.read_bytes(), NOTEBOOK.read_bytes()) == before


def test_git_head_decides_where_no_state_in_step_is_known(project: Path) -> None:
    (project / ".git" / "gates-pairs.json").unlink()
    edit(NOTEBOOK, "count = math", "total = math")
    assert pairs.main(["--fix"]) == 0
    assert "total = math" in SCRIPT.read_text()


def test_without_git_only_a_person_can_decide(project: Path) -> None:
    shutil.rmtree(project / ".git")
    edit(SCRIPT, "count = math", "total = math")
    assert pairs.main(["--fix"]) == 1
    assert pairs.main(["--from", "py"]) == 0
    assert "total = math" in NOTEBOOK.read_text()


def test_versions_in_the_header_are_red_and_mended(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(SCRIPT, "percent\n", "percent\n#       jupytext_version: 1.19.6\n")
    assert pairs.main([]) == 1
    assert reported(capsys) == {"NB303"}
    assert pairs.main(["--fix"]) == 0
    assert SCRIPT.read_text() == GOOD


def test_a_script_stands_for_its_notebook(project: Path) -> None:
    Path("notebooks/helpers.py").write_text("x = 1\n")
    assert find([]) == find(["notebooks/01_clicks.py"]) == [NOTEBOOK]
    assert find(["notebooks/helpers.py"]) == []


# --- configs

CONFIG_FAULTS = [
    ("CF501", "config.yaml", "seed: ", "sede: "),
    ("CF501", "config.yaml", "- model: boosting", "- model: bosting"),
    ("CF502", "data/table.yaml", "kind: table", "kind: tabel"),
    ("CF502", "model/linear.yaml", "l2: ", "l3: "),
    ("CF503", "jobs/notebooks.yaml", "notebook: notebooks/0", "notebook: notebooks/9"),
]


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the project's configuration that may be spoilt."""
    copy = tmp_path / "conf"
    shutil.copytree(PROJECT / "conf", copy)
    entry = copy / "config.yaml"  # whatever options the project has made its defaults
    text = re.sub(r"- data: \w+", "- data: shop", entry.read_text())
    entry.write_text(re.sub(r"- model: \w+", "- model: boosting", text))
    (tmp_path / "pyproject.toml").write_text(f'[tool.gates]\npackage = "{PACKAGE}"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(f"{PACKAGE}.config.load.CONF", copy)
    return copy


def test_every_option_of_the_project_composes(conf: Path) -> None:
    assert configs.main([]) == 0


@pytest.mark.parametrize(("rule", "name", "before", "after"), CONFIG_FAULTS)
def test_a_config_fault_is_red(
    conf: Path, capsys: pytest.CaptureFixture[str], rule: str, name: str, before: str, after: str
) -> None:
    edit(conf / name, before, after)
    assert configs.main([]) == 1
    assert reported(capsys) == {rule}
