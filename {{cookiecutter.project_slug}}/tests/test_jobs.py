"""Jobs: a wrong plan starts nothing, a status is what the notebook shows, reports stand alone."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jupytext
import psutil
import pytest

from {{cookiecutter.package_name}}.config import JobConfig, JobsConfig, load_config
from {{cookiecutter.package_name}}.errors import UserError
from {{cookiecutter.package_name}}.jobs import Summary, read_summary, runner, summarise
from {{cookiecutter.package_name}}.jobs.outcome import fault
from {{cookiecutter.package_name}}.jobs.spec import make_plan
from {{cookiecutter.package_name}}.runs import open_run

SUMMARISE = """
from IPython.display import display
display({"text/plain": "", "application/vnd.job-summary+json":
         {"headlines": [f"**{users}** users"], "values": {"users": users}}}, raw=True)
"""
NOTEBOOK = """\
# %% [markdown]
# # Count *users*
#
# ## Executive summary
#
# Written by the last cell.

# %% tags=["parameters"]
users: int = 3

# %% [markdown]
# ## 1. Count

# %%
"""


def write(root: Path, name: str, code: str = SUMMARISE, text: str = NOTEBOOK) -> None:
    """A pair of script and notebook below ``root``."""
    notebook = jupytext.reads(text + code, "py:percent")
    notebook.metadata["kernelspec"] = {"name": "python3", "language": "python", "display_name": "P"}
    for suffix, form in ((".py", "py:percent"), (".ipynb", "ipynb")):
        jupytext.write(notebook, root / f"{name}{suffix}", fmt=form)


def job(notebook: str = "count", **settings: Any) -> JobConfig:
    return JobConfig(notebook=notebook, **settings)


def jobs(only: list[str] | None = None, **graph: JobConfig) -> JobsConfig:
    return JobsConfig(only=only or [], graph=graph)


# --- the plan


def test_a_job_follows_what_it_needs(tmp_path: Path) -> None:
    write(tmp_path, "count")
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
    ],
)
def test_a_wrong_plan_is_refused(tmp_path: Path, config: JobsConfig, message: str) -> None:
    for name in ("count", "half", "differs"):
        write(tmp_path, name)
    (tmp_path / "half.py").unlink()
    (tmp_path / "differs.py").write_text(NOTEBOOK + "something_else()\n")
    with pytest.raises(UserError, match=re.escape(message)):
        make_plan(config, tmp_path)


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
    assert (found is None) if expected is None else (found and expected in found[0])


# --- real kernels


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[JobsConfig], Path]]:
    """Run jobs below a temporary folder; returns the run's folder however it ended."""
    root = tmp_path_factory.mktemp("project with 'space'")
    write(root, "count")
    write(root, "fails", "print('begin')\n# %%\n{}['missing']\n")
    write(root, "exits", "import sys; sys.exit(0)\n# %%\nusers\n")
    write(root, "endless", "import time; time.sleep(600)\n")

    def go(config: JobsConfig) -> Path:
        with open_run("jobs", load_config()) as run:
            folder.append(run.path)
            runner.run_plan(make_plan(config, root), run, workers=2)
        return run.path

    folder: list[Path] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RUNS_DIR", str(root / "runs"))
        go.folder = folder  # type: ignore[attr-defined]
        yield go


@pytest.fixture(scope="module")
def ran(start: Any) -> Path:
    """One run of jobs that end in every way but by a signal."""
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
    with pytest.raises(UserError, match=r"5 of 8 jobs did not succeed: .*fails \(failed\)"):
        start(jobs(**graph))
    return Path(start.folder[-1])


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


def test_a_report_stands_alone(ran: Path) -> None:
    for path in ran.glob("*.html"):
        page = path.read_text()
        assert not re.search(r"<(script|link|iframe)\b|\bsrc=\"(?!data:)|@import", page), path.name


def test_a_report_shows_what_its_reader_wants(ran: Path) -> None:
    technical, business = (ran / "first.html").read_text(), (ran / "second.html").read_text()
    assert "<li><strong>5</strong> users</li>" in technical
    assert "Written by the last cell" not in technical
    assert '<div class="code">' in technical
    assert '<div class="code">' not in business
    assert "KeyError" in (ran / "fails.html").read_text()
    index = (ran / "index.html").read_text()
    assert "3 of 8 jobs succeeded" in index
    assert all(f'href="{name}.html"' in index for name in ("first", "after", "endless"))


def test_an_interrupt_ends_all_kernels(start: Any) -> None:
    threading.Timer(3, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        start(jobs(endless=job("endless"), after=job(needs=["endless"])))
    found = json.loads((start.folder[-1] / "jobs.json").read_text())
    assert [entry["status"] for entry in found] == ["interrupted", "skipped"]
    commands = [" ".join(p.cmdline()) for p in psutil.Process().children(recursive=True)]
    assert not [command for command in commands if "ipykernel" in command]
    manifest = json.loads((start.folder[-1] / "manifest.json").read_text())
    assert manifest["status"] == "interrupted"
