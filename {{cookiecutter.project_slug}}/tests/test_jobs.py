"""Jobs: a wrong plan starts nothing, a status is what the notebook shows, reports stand alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from {{cookiecutter.package_name}}.config import PROJECT_ROOT as ROOT
from {{cookiecutter.package_name}}.config import JobConfig, JobsConfig, load_config
from {{cookiecutter.package_name}}.errors import UserError
from {{cookiecutter.package_name}}.jobs import Summary, read_summary, summarise
from {{cookiecutter.package_name}}.jobs.execute import execute
from {{cookiecutter.package_name}}.jobs.outcome import fault, own_frame
from {{cookiecutter.package_name}}.jobs.spec import check_pairs, make_plan

from .jobs_project import NOTEBOOK, JobsProject, write_pair


def job(notebook: str = "count", **settings: Any) -> JobConfig:
    return JobConfig(notebook=notebook, **settings)


def jobs(only: list[str] | None = None, **graph: JobConfig) -> JobsConfig:
    return JobsConfig(only=only or [], graph=graph)


# --- the plan


def test_a_job_follows_what_it_needs(tmp_path: Path) -> None:
    write_pair(tmp_path / "count")
    graph = {"c": job(needs=["b"]), "other": job(), "b": job(needs=["a"]), "a": job()}
    assert [j.name for j in make_plan(jobs(["c"], **graph), tmp_path)] == ["a", "b", "c"]
    assert len(make_plan(jobs(**graph), tmp_path)) == 4


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (jobs(a=job("absent")), "job 'a': there is no file"),
        (jobs(a=job("half")), "half.py"),
        (jobs(a=job(needs=["bb"]), b=job()), "Did you mean 'b'?"),
        (jobs(["bb"], b=job()), "jobs.only: 'bb': there is no such job"),
        (jobs(a=job(needs=["b"]), b=job(needs=["a"])), "in a circle: "),
        (jobs(**{"a-b": job()}), "cannot be a job's name"),
        (jobs(a=job(audience="all")), "must be technical or business"),
        (jobs(a=job(timeout=0)), "timeout=0"),
        (jobs(a=job(parameters={"user": 3})), "Did you mean 'users'?"),
        (jobs(a=job(parameters={"users": "x"})), "'users' is int, but was given 'x'"),
        (jobs(a=job(parameters={"users": {"from": "b"}}), b=job()), "job_name.value_name"),
        (jobs(a=job(parameters={"users": {"from": "b.n"}}), b=job()), "Add it: needs: [b]"),
        (
            jobs(a=job(needs=["b"], parameters={"n": {"from": "b.n"}}), b=job()),
            "no parameter 'n'",
        ),
        (jobs(a=job("differs")), "make sync"),
        (jobs(a=job(memory=0)), "memory=0"),
        (jobs(a=job(retries=-1)), "retries=-1"),
        (jobs(a=job(outputs=["../out.csv"])), "output '../out.csv' must be a file name"),
        (
            jobs(
                a=job(needs=["b"], parameters={"users": {"from": "b", "file": "x.csv"}}),
                b=job(outputs=["y.csv"]),
            ),
            "job 'b' declares no output 'x.csv'. Valid: y.csv",
        ),
        (JobsConfig(from_=["bb"], graph={"b": job()}), "jobs.from: 'bb': there is no such job"),
    ],
)
def test_a_wrong_plan_is_refused(tmp_path: Path, config: JobsConfig, message: str) -> None:
    for name in ("count", "half", "differs"):
        write_pair(tmp_path / name)
    (tmp_path / "half.py").unlink()
    (tmp_path / "differs.py").write_text(NOTEBOOK + "something_else()\n")
    with pytest.raises(UserError, match=re.escape(message)):
        check_pairs(make_plan(config, tmp_path))


def test_a_pair_in_step_is_seen_to_be(tmp_path: Path) -> None:
    odd = "%matplotlib inline\n# a comment\n\n# %% some title\nx = '# %% not a cell'\n"
    write_pair(tmp_path / "odd", odd)
    check_pairs(make_plan(jobs(a=job("odd")), tmp_path))


# --- what a notebook records, and what it proves


def executed(*cells: dict[str, Any]) -> dict[str, Any]:
    base = {"cell_type": "code", "metadata": {}, "source": ["x\n"], "execution_count": 1}
    return {"cells": [{**base, "outputs": [], **cell} for cell in cells]}


def test_a_summary_can_be_read_back(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[dict[str, Any]] = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw: shown.append(data))
    summarise(["**3** users", "Few."], users=3, name="x", none=None)
    assert shown[0]["text/markdown"] == "- **3** users\n- Few."
    notebook = executed({"outputs": [{"output_type": "display_data", "data": shown[0]}]}, {})
    expected = Summary(["**3** users", "Few."], {"users": 3, "name": "x", "none": None})
    assert read_summary(notebook) == expected
    assert read_summary(executed({})) == Summary()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [1], {"a": 1}])
def test_a_value_that_is_no_plain_fact_is_refused(value: Any) -> None:
    with pytest.raises(UserError, match=r"summarise\(share="):
        summarise(["One."], share=value)


ERROR = {"output_type": "error", "ename": "KeyError", "evalue": "'a'", "traceback": ["t", "end"]}
EXIT = {**ERROR, "ename": "SystemExit", "evalue": "0"}


@pytest.mark.parametrize(
    ("notebook", "expected"),
    [
        (executed({}, {"source": [], "execution_count": None}), None),
        (executed({}, {"outputs": [ERROR]}), "KeyError: 'a', in cell 2"),
        (executed({"outputs": [EXIT]}), r"sys.exit(0) ended the notebook early, in cell 1"),
        (executed({}, {"execution_count": None}), "not every cell was executed"),
        (
            executed({"metadata": {"tags": ["injected-parameters"]}}, {"outputs": [ERROR]}),
            "KeyError: 'a', in cell 1",
        ),
    ],
)
def test_a_success_needs_evidence(notebook: dict[str, Any], expected: str | None) -> None:
    found = fault(notebook)
    assert (found is None) if expected is None else (found and expected in found.cause)


def test_the_frame_that_is_ours_is_found() -> None:
    lines = ["File /lib/pandas/x.py:3, in f(a)", f"File {ROOT}/src/own/y.py:41, in split(x)"]
    traceback = "\n".join(["KeyError", *reversed(lines), "File /lib/z.py:9, in g()"])
    assert own_frame(traceback) == "src/own/y.py, line 41, in split"
    assert own_frame(lines[0]) == ""


# --- real kernels


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One run of jobs that end in every way but by a signal."""
    root = tmp_path_factory.mktemp("project with 'space'")
    write_pair(root / "count")
    write_pair(root / "fails", "print('begin')\n# %%\n{}['missing']\n")
    write_pair(root / "exits", "import sys; sys.exit(0)\n# %%\nusers\n")
    write_pair(root / "endless", "import time; time.sleep(600)\n")
    graph = {
        "endless": job("endless", timeout=4),
        "first": job(parameters={"users": 5}),
        "same": job(parameters={"users": 5}),
        "second": job(
            needs=["first"], parameters={"users": {"from": "first.users"}}, audience="business"
        ),
        "untold": job(needs=["first"], parameters={"users": {"from": "first.user"}}),
        "fails": job("fails"),
        "after": job(needs=["fails"]),
        "exits": job("exits"),
    }
    config = replace(load_config(["data=shop"]), jobs=jobs(**graph))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RUNS_DIR", str(root / "runs"))
        with pytest.raises(UserError, match=r"5 of 8 jobs did not succeed: .*fails \(failed\)"):
            execute(config, root)
        yield next((root / "runs").glob("*-jobs-*"))


def test_each_status_is_what_happened(ran: Path) -> None:
    found = {entry["job"]: entry for entry in json.loads((ran / "jobs.json").read_text())}
    assert {name: entry["status"] for name, entry in found.items()} == {
        "endless": "timed_out",
        "first": "succeeded",
        "same": "succeeded",
        "second": "succeeded",
        "untold": "failed",
        "fails": "failed",
        "after": "skipped",
        "exits": "failed",
    }
    assert found["second"]["parameters"] == {"users": 5}
    assert "stopped after 4 s" in found["endless"]["cause"]
    assert found["fails"]["cause"] == "KeyError: 'missing', in cell 5 (1. Count)"
    assert "Did you mean 'users'?" in found["untold"]["cause"]
    assert found["after"]["cause"] == "it needs fails"


def test_a_run_leaves_whole_files_and_nothing_else(ran: Path) -> None:
    assert not list(ran.glob(".*"))
    names = {path.name for path in ran.iterdir()}
    assert {"index.html", "first.ipynb", "first.html", "fails.ipynb", "after.html"} <= names
    assert "after.ipynb" not in names
    summary = json.loads((ran / "first.summary.json").read_text())
    assert summary == {"headlines": ["**5** users"], "values": {"users": 5}}


def test_equal_jobs_leave_equal_bytes(ran: Path) -> None:
    assert (ran / "first.ipynb").read_bytes() == (ran / "same.ipynb").read_bytes()


def test_each_job_has_its_report(ran: Path) -> None:
    assert "<li><strong>5</strong> users</li>" in (ran / "first.html").read_text()
    assert "KeyError" in (ran / "fails.html").read_text()
    index = (ran / "index.html").read_text()
    assert "3 of 8 jobs succeeded" in index
    assert all(f'href="{name}.html"' in index for name in ("first", "after", "endless"))


def test_a_sweep_is_a_run_for_each_value(tmp_path: Path) -> None:
    project = JobsProject(tmp_path)
    project.job("first", parameters={"users": 1})
    users = "jobs.graph.first.parameters.users=2,3"
    status, said = project.run("-m", "jobs.engine=inprocess", users)
    assert status == 0, said
    found = [project.records(run)["first"]["parameters"] for run in project.runs.glob("*-jobs-*")]
    assert sorted(each["users"] for each in found) == [2, 3]
