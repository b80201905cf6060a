"""Stripping: what is mended keeps what people wrote, and gives the same bytes each time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest

from gates import outputs
from gates.__main__ import main
from gates.outputs import canonical, clean

from .faults.hygiene import FAULTS
from .planting import Fault, Repository

MENDED = [fault for fault in FAULTS if fault.rule in {rule.id for rule in outputs.RULES}]
R_LANGUAGE = {"name": "R", "version": "4.4.1"}
JULIA = {"display_name": "Julia 1.11", "name": "julia-1.11", "language": "julia"}


def notebook(*cells: dict[str, Any], minor: int = 5, **metadata: Any) -> dict[str, Any]:
    return {"cells": list(cells), "metadata": metadata, "nbformat": 4, "nbformat_minor": minor}


def cell(source: str = "1", **more: Any) -> dict[str, Any]:
    plain = {"cell_type": "code", "metadata": {}, "source": source, "id": "one"}
    return plain | {"outputs": [], "execution_count": None} | more


def found(
    content: dict[str, Any], layout: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> list[tuple[str, int | None]]:
    path = tmp_path / "01_clicks.ipynb"
    path.write_text(json.dumps(content))
    main(["--layout", layout, "--select", "NB311,NB312,NB313,NB315", "--format", "json", str(path)])
    return [(one["rule"], one["cell"]) for one in json.loads(capsys.readouterr().out)]


@pytest.mark.parametrize("fault", MENDED, ids=lambda fault: f"{fault.rule}-{fault.what}")
def test_what_a_machine_added_is_mended(fault: Fault, repository: Repository) -> None:
    path = repository.root / repository.notebook
    before = json.loads(path.read_text())
    fault.red(repository)
    assert outputs.main([str(repository.notebook)]) == 1
    assert outputs.main(["--fix", str(repository.notebook)]) == 0
    after = json.loads(path.read_text())
    for cells in (before["cells"], after["cells"]):
        for one in cells:
            assert one.pop("id")
    assert after == before


def test_a_notebook_has_the_bytes_that_jupyter_would_write(repository: Repository) -> None:
    path = repository.root / repository.notebook
    assert nbformat.writes(nbformat.read(path, 4)) + "\n" == path.read_text()


@pytest.mark.parametrize(
    ("content", "project", "elsewhere"),
    [
        (notebook(cell(outputs=[{"output_type": "stream"}])), [("NB311", 1)], [("NB311", 1)]),
        (notebook(cell(execution_count=0)), [("NB312", 1)], [("NB312", 1)]),
        (notebook(cell(metadata={"collapsed": True})), [("NB313", 1)], []),
        (notebook(cell(metadata={"ExecuteTime": {}})), [("NB313", 1)], [("NB313", 1)]),
        (notebook(cell(metadata={"tags": ["parameters"]})), [], []),
        (notebook(cell(id="no spaces, please")), [("NB315", 1)], [("NB315", 1)]),
        (notebook(cell(), cell()), [("NB315", 2)], [("NB315", 2)]),
        (notebook(cell(id=7)), [("NB315", 1)], [("NB315", 1)]),
        (notebook(cell(), minor=4), [("NB315", None)], []),
    ],
)
def test_what_is_found_here_and_in_notebooks_of_others(
    content: dict[str, Any],
    project: list[tuple[str, int | None]],
    elsewhere: list[tuple[str, int | None]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    content["metadata"] = {"kernelspec": outputs.KERNELSPEC}
    assert found(content, "project", tmp_path, capsys) == project
    assert found(content, "any", tmp_path, capsys) == elsewhere


@pytest.mark.parametrize(
    ("metadata", "project", "elsewhere"),
    [
        ({}, True, False),
        ({"kernelspec": outputs.KERNELSPEC, "language_info": {"version": "3.12"}}, True, False),
        ({"kernelspec": {"name": "conda-env-tf-py", "display_name": "tf"}}, True, True),
        ({"kernelspec": outputs.KERNELSPEC, "widgets": {}}, True, True),
        ({"kernelspec": JULIA}, False, False),
        ({"language_info": R_LANGUAGE}, False, False),
    ],
)
def test_metadata_here_and_in_notebooks_of_others(
    metadata: dict[str, Any],
    project: bool,
    elsewhere: bool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    content = notebook(cell(), **metadata)
    assert bool(found(content, "project", tmp_path, capsys)) == project
    assert bool(found(content, "any", tmp_path, capsys)) == elsewhere


def test_ids_follow_from_the_content_and_differ() -> None:
    content = notebook(*(cell(source, id="twice") for source in ("1", "1", "2")))
    ids = [one["id"] for one in clean(content)["cells"]]
    assert ids == [one["id"] for one in clean(content)["cells"]]
    assert len(set(ids)) == 3
    assert ids[0] == "twice"


def test_a_clean_notebook_is_not_changed_by_cleaning() -> None:
    once = clean(notebook(cell(outputs=[{}], metadata={"tags": ["parameters"]}), language_info={}))
    assert canonical(clean(once)) == canonical(once)


@pytest.mark.parametrize("metadata", [{"kernelspec": JULIA}, {"language_info": R_LANGUAGE}])
def test_other_languages_keep_their_kernel(metadata: dict[str, Any]) -> None:
    assert clean(notebook(cell(), **metadata))["metadata"] == metadata


def test_mending_takes_away_only_what_is_reported(tmp_path: Path) -> None:
    run = cell(outputs=[{"output_type": "stream", "name": "stdout", "text": ["7"]}])
    run |= {"execution_count": 3, "metadata": {"ExecuteTime": {}, "collapsed": True}}
    paired = {"jupytext": {"formats": "ipynb,py:percent"}, "language_info": {"name": "python"}}
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps(notebook(run, **paired)))
    assert (
        main(["--layout", "any", "--ignore", "NB311", "--select", "NB31", "--fix", str(path)]) == 0
    )
    mended = json.loads(path.read_text())
    assert mended["metadata"] == paired
    assert mended["cells"][0]["outputs"] == run["outputs"]
    assert mended["cells"][0]["execution_count"] is None
    assert mended["cells"][0]["metadata"] == {"collapsed": True}
