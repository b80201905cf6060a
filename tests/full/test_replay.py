"""Runs are replayed by somebody else: in a clone at another path, from the run's folder alone."""

import os
import shutil
from pathlib import Path

import pytest

from conftest import TEMPLATE, Render, run

pytestmark = pytest.mark.full

TITANIC = TEMPLATE.parent / "shared" / "data" / "titanic.csv"
OTHER = "PYTHONHASHSEED=7 TZ=Asia/Kathmandu LC_ALL=tr_TR.UTF-8"


def newest(project: Path, kind: str) -> Path:
    return max((project / "runs").glob(f"*-{kind}-*"))


def test_a_run_is_identical_in_a_clone_with_other_threads_and_hash_seed(
    render: Render, tmp_path: Path
) -> None:
    project = render(package_name="ranker")
    run(project, "make setup")
    run(project, "git add uv.lock && git commit --quiet --no-verify --message lock")
    # changes that nobody committed are part of the run as well
    (project / "conf" / "model" / "linear.yaml").write_text("name: linear\nl2: 2.0\n")
    (project / "src" / "ranker" / "untracked.py").write_text("VALUE = 1\n")
    run(project, ".venv/bin/python -m ranker.jobs data.users=300 model=linear")
    run(project, ".venv/bin/python -m ranker.train data.users=300")
    runs = [newest(project, kind) for kind in ("jobs", "train")]

    clone = tmp_path / "somebody else's" / "clone"
    run(tmp_path, f"git clone --quiet '{project}' \"{clone}\"")
    run(clone, "make setup")
    for folder, outputs in zip(runs, (9, 8), strict=True):
        copy = shutil.copytree(folder, tmp_path / "sent" / folder.name)
        said = run(clone, f"{OTHER} .venv/bin/python -m ranker.runs replay {copy} --threads 1")
        print(said)
        assert f"identical: {outputs} of {outputs} outputs" in said
    assert not (clone / "runs").exists() or not list((clone / "runs").glob("*-jobs-*"))
    assert run(clone, "git status --porcelain") == ""


def test_a_replay_with_another_input_is_refused(render: Render, tmp_path: Path) -> None:
    if not TITANIC.is_file():
        pytest.skip(f"{TITANIC} is not on this machine")
    table = tmp_path / "titanic.csv"
    shutil.copy(TITANIC, table)
    project = render(package_name="ranker")
    run(project, "make setup")
    data = f"data=table data.path={table} data.target=survived 'data.exclude=[alive]'"
    run(project, f".venv/bin/python -m ranker.jobs {data}")
    command = ".venv/bin/python -m ranker.runs replay"
    said = run(project, f"{command} {newest(project, 'jobs').name}")
    assert "identical: 9 of 9 outputs" in said
    with table.open("a") as file:
        file.write(os.linesep)
    for kind in ("jobs", "train"):
        said = run(project, f"{command} {newest(project, kind).name}", expected=1)
        print(said)
        assert "titanic.csv" in said
        assert "Traceback" not in said
