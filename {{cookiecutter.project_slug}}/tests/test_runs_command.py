"""The command over runs: what it lists, shows and compares, and what it never removes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from {{cookiecutter.package_name}}.config import Config, load_config
from {{cookiecutter.package_name}}.runs import (
    list_runs,
    open_run,
    read_manifest,
    write_atomic,
)
from {{cookiecutter.package_name}}.runs.__main__ import COMMANDS, main

from .conftest import SMALL

PACKAGE = Config.__module__.split(".")[0]
Make = Callable[..., Path]


@pytest.fixture
def make(small_config: Config, monkeypatch: pytest.MonkeyPatch) -> Make:
    """A run with some metrics, without training one."""

    def run(
        kind: str = "train",
        auc: float = 0.5,
        config: Config = small_config,
        parent: str = "",
        jobs: list[dict[str, Any]] | None = None,
        reads: Path | None = None,
    ) -> Path:
        monkeypatch.setenv("JOB_RUN", parent)
        with open_run(kind, config) as made:
            write_atomic(made.path / "model" / "model.json", str(auc))
            write_atomic(made.path / "same.json", "{}")
            for part in ("valid", "test"):
                made.metrics[f"{part}.boosting.roc_auc"] = auc
            made.intervals["test.boosting.roc_auc"] = (auc - 0.1, auc + 0.1)
            if jobs is not None:
                made.write_json("jobs.json", jobs)
            if reads:
                made.add_input(reads, 12)
        return made.path

    return run


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What the command prints when all is well."""
    capsys.readouterr()
    assert main(arguments) == 0
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 1
    return capsys.readouterr().err


def row(text: str, start: str) -> list[str]:
    """The words of the line that begins so."""
    (line,) = [line for line in text.splitlines() if line.strip().startswith(start)]
    return line.split()


def test_a_list_has_a_line_for_each_run(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no runs yet" in said(capsys, "list")
    train = make(auc=0.75)
    jobs = make(
        "jobs", jobs=[{"job": "a", "status": "succeeded"}, {"job": "b", "status": "failed"}]
    )
    text = said(capsys, "list")
    assert row(text, train.name)[1:3] == ["train", "succeeded"]
    assert row(text, train.name)[7:9] == ["roc_auc", "0.75"]
    assert "1 of 2 jobs" in text
    assert text.index(jobs.name) < text.index(train.name)
    assert jobs.name not in said(capsys, "list", "--kind", "train")
    shorter = said(capsys, "list", "--last", "1")
    assert train.name not in shorter and "1 older" in shorter
    assert "Did you mean 'train'?" in refused(capsys, "list", "--kind", "trian")


def test_a_list_tells_of_runs_that_cannot_be_trusted(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    torn, edited, old = make(), make(), make()
    (torn / "manifest.json").write_text("{")
    path = edited / "manifest.json"
    path.write_text(path.read_text().replace("0.5", "0.9"))
    manifest = read_manifest(old) | {"schema_version": 1}
    for name in ("seal", "records", "intervals", "model", "parent"):
        del manifest[name]
    (old / "manifest.json").write_text(json.dumps(manifest))
    text = said(capsys, "list")
    assert row(text, torn.name)[1:] == ["train", "torn"]
    assert row(text, edited.name)[1:] == ["train", "edited"]
    assert row(text, old.name)[2:4] == ["succeeded", "v1"]
    assert "was edited" in refused(capsys, "show", edited.name)
    assert "without a seal" in said(capsys, "show", old.name)
    assert "2 of 2 outputs" in said(capsys, "diff", old.name, old.name)


def test_show_says_what_a_run_depends_on(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    path = make("evaluate", auc=0.7, reads=make() / "model" / "model.json")
    text = said(capsys, "show", "latest")
    assert text.startswith(path.name)
    assert row(text, "test.boosting.roc_auc")[1:] == ["0.7", "0.6", "to", "0.8"]
    assert row(text, "model.rounds") == ["model.rounds", "30"]  # 400, when nothing is said
    assert "model.max_depth" not in text
    manifest = read_manifest(path)
    assert row(text, "same.json")[1] == manifest["outputs"]["same.json"][:12]
    assert "12 rows" in text


def test_a_difference_is_named_with_what_it_changed(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    one = make(auc=0.5, config=load_config([*SMALL, "seed=42"]))
    two = make(auc=0.75, config=load_config(["data=shop", "model=linear", "seed=7"]))
    text = said(capsys, "diff", one.name, two.name)
    assert row(text, "seed") == ["seed", "42", "7", "-35"]
    assert row(text, "model.name") == ["model.name", "boosting", "linear"]
    assert row(text, "model.rounds") == ["model.rounds", "30", "none"]
    assert row(text, "test.boosting.roc_auc")[1:] == ["0.5", "0.75", "+0.25"]
    assert "jobs.graph" not in text
    assert text.splitlines()[-1] == "1 of 2 outputs are identical."
    assert row(said(capsys, "diff", one.name, one.name), "configuration")[1:] == ["same", "same"]


def test_a_misspelt_command_is_answered(capsys: pytest.CaptureFixture[str]) -> None:
    assert "Did you mean 'show'?" in refused(capsys, "shw")
    assert "no run 'x'" in refused(capsys, "show", "x")
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    assert left.value.code == 0
    text = capsys.readouterr().out
    assert all(name in text for name in COMMANDS)


def test_nothing_heavy_is_loaded_to_list(make: Make) -> None:
    make()
    code = (
        "import sys; from PACKAGE.runs.__main__ import main; main(['list']);"
        "heavy = {'numpy', 'pandas', 'hydra', 'matplotlib', 'IPython', 'psutil'};"
        "sys.exit(str(sorted(heavy & set(sys.modules))) if heavy & set(sys.modules) else 0)"
    ).replace("PACKAGE", PACKAGE)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_reader_that_has_seen_enough_is_no_error(make: Make) -> None:
    for _ in range(3):
        make()
    ours, theirs = os.pipe()
    os.close(ours)
    command = [sys.executable, "-m", f"{PACKAGE}.runs", "list"]
    done = subprocess.run(command, stdout=theirs, stderr=subprocess.PIPE, text=True, check=False)
    os.close(theirs)
    assert (done.returncode, done.stderr) == (0, "")


# --- clean


def test_clean_keeps_the_newest_of_each_kind(
    make: Make, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = [make() for _ in range(4)]
    evaluated = make("evaluate")
    (runs / "notes").mkdir()  # not ours
    before = sorted(runs.rglob("*"))
    text = said(capsys, "clean", "--keep", "2", "--dry-run")
    assert trained[0].name in text and trained[1].name in text
    assert re.search(r"^2 runs, 0 results, 0 leftovers: \d\.\d MB to free\.$", text, re.MULTILINE)
    assert sorted(runs.rglob("*")) == before
    said(capsys, "clean", "--keep", "2")
    assert set(list_runs()) == {trained[2], trained[3], evaluated}
    assert (runs / "notes").is_dir()
    said(capsys, "clean", "--keep", "0")
    assert list_runs() == [evaluated]  # `latest`
    assert "must be 0 or more" in refused(capsys, "clean", "--keep", "-1")


def test_clean_keeps_what_a_kept_run_builds_on(
    make: Make, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    judged, named, unnamed = make(), make(), make()
    jobs = make(
        "jobs", jobs=[{"job": "a", "status": "succeeded", "runs": [named.name], "key": "f1"}]
    )
    made_by = make(parent=jobs.name)
    evaluated = make("evaluate", reads=judged / "model" / "model.json")
    newest = make()
    for name in ("a-f1", "a-f2", "b-f1"):
        write_atomic(runs / ".results" / name / "a.ipynb", "{}")
    text = said(capsys, "clean", "--keep", "1")
    assert set(list_runs()) == {judged, named, jobs, made_by, evaluated, newest}
    assert unnamed.name in text
    assert [path.name for path in (runs / ".results").iterdir()] == ["a-f1"]
    assert not list(runs.glob(".trash-*"))


def test_clean_leaves_open_runs_and_their_results_alone(
    make: Make, runs: Path, small_config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    write_atomic(runs / ".results" / "a-f1" / "a.ipynb", "{}")
    with open_run("jobs", small_config) as run:
        (run.path / ".partial").mkdir()
        for _ in range(2):
            make()
        said(capsys, "clean", "--keep", "0")
        assert (run.path / ".partial").is_dir()
        assert read_manifest(run.path)["status"] == "running"
        assert (runs / ".results" / "a-f1").is_dir()


def test_clean_removes_what_killed_processes_left(
    make: Make, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = make()
    left = [kept / "model" / ".writing-a.json", runs / ".trash-0" / "x", runs / ".latest-a"]
    being_written = kept / ".writing-b.json"
    for path in (*left, being_written, runs / ".locks" / "0"):
        path.parent.mkdir(exist_ok=True)
        path.write_text("x" * 1_000_000)
    for path in left:
        os.utime(path, (time.time() - 7200,) * 2)
    text = said(capsys, "clean")
    assert "0 runs, 0 results, 3 leftovers: 3.0 MB freed." in text
    assert not any(path.exists() for path in left)
    assert being_written.exists()
    assert not list((runs / ".locks").iterdir())
