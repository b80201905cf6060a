"""A job runs again when anything its result depends on has changed, and only then."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from {{cookiecutter.package_name}}.config import JobConfig, JobsConfig, load_config
from {{cookiecutter.package_name}}.errors import UserError
from {{cookiecutter.package_name}}.jobs import freshness, imports
from {{cookiecutter.package_name}}.jobs.execute import execute, preview

from .jobs_project import PACKAGE, write_pair

WRITES = f"""
from {PACKAGE}.jobs import output, summarise
output("table.csv").write_text("users: " + str(users))
summarise(["Done."], users=users)
"""
READS = f"""
from {PACKAGE}.jobs import needed, summarise
summarise(["Read."], text=needed("first", "table.csv").read_text())
"""


class Graph:
    """Three jobs: ``first``, ``second`` after it, and ``other``; ``run`` says what ran and why."""

    def __init__(self, root: Path) -> None:
        self.root = root
        write_pair(root / "first", WRITES)
        write_pair(root / "second", READS)
        write_pair(root / "other")
        self.input = root / "prices.csv"
        self.input.write_text("price\n1\n")
        self.settings: dict[str, dict[str, Any]] = {
            "first": {"inputs": [str(self.input)], "outputs": ["table.csv"]},
            "second": {"needs": ["first"]},
            "other": {},
        }

    def config(self, **jobs: Any) -> Any:
        graph = {n: JobConfig(notebook=n, **each) for n, each in self.settings.items()}
        settings = JobsConfig(engine="inprocess", graph=graph, **jobs)
        return replace(load_config(["data=shop"]), jobs=settings)

    def run(self, **jobs: Any) -> dict[str, str]:
        self.folder = execute(self.config(**jobs), self.root)
        records = json.loads((self.folder / "jobs.json").read_text())
        return {each["job"]: each["why"] for each in records if not each["reused"]}

    def results(self) -> dict[str, bytes]:
        names = ("*.ipynb", "*.summary.json", "*/*.csv")
        files = (path for name in names for path in self.folder.glob(name))
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in files}


@pytest.fixture
def graph(tmp_path: Path, runs: Path, monkeypatch: pytest.MonkeyPatch) -> Graph:
    found = Graph(tmp_path / "project")
    # copies, for tests to change
    package, conf = found.root / "src" / PACKAGE, found.root / "conf"
    shutil.copytree(imports.ROOT, package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(freshness.CONF, conf)
    monkeypatch.setattr(imports, "ROOT", package)
    monkeypatch.setattr(freshness, "CONFIGURATION", package / "config" / "load.py")
    monkeypatch.setattr(freshness, "CONF", conf)
    assert set(found.run()) == {"first", "second", "other"}
    return found


def test_what_is_unchanged_is_taken_over_whole(graph: Graph) -> None:
    before = graph.results()
    assert len(before) == 7
    assert graph.run() == {}
    assert graph.results() == before
    assert (graph.folder / "first.html").is_file()


def edit_notebook(graph: Graph, patch: pytest.MonkeyPatch) -> None:
    write_pair(graph.root / "first", WRITES + "1\n")


def edit_input(graph: Graph, patch: pytest.MonkeyPatch) -> None:
    graph.input.write_text("price\n2\n")


def give_parameter(graph: Graph, patch: pytest.MonkeyPatch) -> None:
    graph.settings["first"]["parameters"] = {"users": 4}


def edit_code(graph: Graph, patch: pytest.MonkeyPatch) -> None:
    with (graph.root / "src" / PACKAGE / "jobs" / "summary.py").open("a") as file:
        file.write("# one line more\n")


def edit_conf(graph: Graph, patch: pytest.MonkeyPatch) -> None:
    (graph.root / "conf" / "model" / "linear.yaml").write_text("name: linear\n")


def change_lock(graph: Graph, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(freshness, "PROJECT_ROOT", graph.root)
    (graph.root / "uv.lock").write_text("other versions")


def lose_output(graph: Graph, patch: pytest.MonkeyPatch) -> None:
    (kept,) = (graph.folder.parent / ".results").glob("first-*/outputs/table.csv")
    kept.unlink()


def change_output(graph: Graph, patch: pytest.MonkeyPatch) -> None:
    (kept,) = (graph.folder.parent / ".results").glob("first-*/outputs/table.csv")
    kept.write_text("users: 1000")


@pytest.mark.parametrize(
    ("change", "again", "why"),
    [
        (edit_notebook, {"first", "second"}, "first.ipynb changed"),
        (edit_input, {"first", "second"}, "prices.csv changed"),
        (give_parameter, {"first", "second"}, "users: unset -> 4"),
        (edit_code, {"first", "second", "other"}, "summary.py changed"),
        (edit_conf, {"first", "second", "other"}, "linear.yaml changed"),
        (change_lock, {"first", "second", "other"}, "uv.lock changed"),
        (lose_output, {"first", "second"}, "outputs/table.csv is missing"),
        (change_output, {"first", "second"}, "was changed"),
    ],
)
def test_what_changed_runs_again_with_what_depends_on_it(
    graph: Graph,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Graph, pytest.MonkeyPatch], None],
    again: set[str],
    why: str,
) -> None:
    change(graph, monkeypatch)
    found = graph.run()
    assert set(found) == again
    assert why in found["first"]
    assert graph.run() == {}


TRAINS = f"""
from {PACKAGE}.config import load_config
from {PACKAGE}.runs import open_run
with open_run("train", load_config()) as run:
    run.write_json("model.json", users)
"""


def test_a_job_whose_run_is_gone_runs_again(graph: Graph, runs: Path) -> None:
    write_pair(graph.root / "other", TRAINS)
    graph.run()
    (made,) = runs.glob("*-train-*")
    assert graph.run() == {}
    shutil.rmtree(made)
    assert made.name in graph.run()["other"]


def test_a_file_that_is_only_touched_is_unchanged(graph: Graph) -> None:
    graph.input.touch()
    (graph.root / "first.py").touch()
    assert graph.run() == {}


def test_a_change_back_finds_the_earlier_result(graph: Graph) -> None:
    edit_input(graph, pytest.MonkeyPatch())
    graph.run()
    graph.input.write_text("price\n1\n")
    assert graph.run() == {}


def test_jobs_can_be_asked_for(graph: Graph) -> None:
    assert graph.run(from_=["first"]) == {"first": "asked for", "second": "first runs before it"}
    assert set(graph.run(force=True)) == {"first", "second", "other"}
    graph.run(only=["second"])
    assert {path.stem for path in graph.folder.glob("*.ipynb")} == {"first", "second"}


def test_a_preview_starts_nothing(graph: Graph, runs: Path, capsys: pytest.CaptureFixture) -> None:
    before = sorted(runs.iterdir())
    edit_input(graph, pytest.MonkeyPatch())
    preview(graph.config(), graph.root)
    said = capsys.readouterr().out.splitlines()
    assert said[-1] == "2 of 3 jobs would run."
    assert any(line.startswith("unchanged  other") for line in said)
    assert any("would run  first" in line and "prices.csv changed" in line for line in said)
    assert sorted(runs.iterdir()) == before


def test_an_input_that_is_not_there_is_refused(graph: Graph) -> None:
    graph.input.unlink()
    with pytest.raises(UserError, match=r"there is no input .*prices\.csv"):
        graph.run()


def test_a_job_that_does_not_write_its_output_fails(graph: Graph) -> None:
    graph.settings["other"]["outputs"] = ["absent.csv"]
    with pytest.raises(UserError, match=r"other \(failed\)"):
        graph.run()


def test_the_file_of_another_job_can_be_read(graph: Graph) -> None:
    summary = json.loads((graph.folder / "second.summary.json").read_text())
    assert summary["values"] == {"text": "users: 3"}


def test_a_database_may_always_have_changed(graph: Graph) -> None:
    graph.settings["first"]["inputs"] = ["postgresql:SALES"]
    graph.run()
    assert "postgresql:SALES changed" in graph.run()["first"]


def test_a_path_of_the_project_is_an_input_wherever_the_jobs_are_run(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(freshness, "PROJECT_ROOT", graph.root)
    graph.settings["first"]["inputs"] = [graph.input.name]
    graph.run()
    assert graph.run() == {}
    edit_input(graph, monkeypatch)
    assert graph.run()["first"] == "prices.csv changed"
