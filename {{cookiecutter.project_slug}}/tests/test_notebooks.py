"""The project's own notebooks run as jobs, on the shop and on a table."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from {{cookiecutter.package_name}}.config import load_config
from {{cookiecutter.package_name}}.jobs.runner import run_plan
from {{cookiecutter.package_name}}.jobs.spec import make_plan
from {{cookiecutter.package_name}}.runs import find_run, open_run

from .conftest import SMALL


@pytest.mark.parametrize("data", ["shop", "table"])
def test_every_notebook_runs(data: str, write_csv: Callable[..., list[str]]) -> None:
    rows = [
        f"{i % 17},{'abc'[i % 3]},2026-01-{i % 28 + 1:02d},{i % 17 + i % 3}" for i in range(300)
    ]
    tables = write_csv("number,word,when,y", rows, "y", "data.task=regression", "model=linear")
    config = load_config(SMALL if data == "shop" else tables)
    with open_run("jobs", config) as run:
        run_plan(make_plan(config.jobs), run, workers=2)
    made = sorted(path.name for path in run.path.glob("*.html"))
    assert made == sorted(["index.html", *(f"{job}.html" for job in config.jobs.graph)])
    assert find_run("latest", "jobs") == run.path
