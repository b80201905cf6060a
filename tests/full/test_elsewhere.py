"""The gates as hooks of a repository that was not generated here."""

import json
from pathlib import Path

import nbformat
import pytest

from conftest import TEMPLATE, run

pytestmark = pytest.mark.full

FIT = """\
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=1)
X_train = StandardScaler().fit_transform(X_train)
X_test = StandardScaler().fit_transform(X_test)"""


def plain_notebook(path: Path, *sources: str) -> None:
    """A notebook as Jupyter leaves it after a run: no layout, no script, outputs and counts."""
    new = nbformat.v4
    output = new.new_output("stream", text="0.93\n")
    cells = [
        new.new_code_cell(source, execution_count=number, outputs=[output])
        for number, source in enumerate(sources, 1)
    ]
    nbformat.write(new.new_notebook(cells=[new.new_markdown_cell("A try"), *cells]), path)


def test_hooks_in_a_repository_of_plain_notebooks(tmp_path: Path) -> None:
    plain_notebook(tmp_path / "Untitled 3.ipynb", "X, y = load()", FIT)
    plain_notebook(tmp_path / "fine.ipynb", "1 + 1")
    run(tmp_path, "git init -q && git add . && git commit -qm plain")
    hook = f"uv run --project {TEMPLATE} --quiet pre-commit try-repo {TEMPLATE} %s --all-files"

    said = run(tmp_path, hook % "notebooks", expected=1)
    assert "Untitled 3.ipynb, cells 2, 3: mended NB311" in said
    assert "NB10" not in said, "no layout is asked of other people's notebooks"
    cells = json.loads((tmp_path / "fine.ipynb").read_text())["cells"]
    assert [cell.get("outputs") for cell in cells] == [None, []]
    run(tmp_path, "git add .")
    run(tmp_path, hook % "notebooks")

    said = run(tmp_path, hook % "learning-mistakes", expected=1)
    assert "Untitled 3.ipynb, cell 3, line 6: ML401" in said
    assert said.count("ML401 ") == 1
