"""The project's own notebooks run as jobs, on the shop and on a table."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from {{cookiecutter.package_name}}.config import load_config
from {{cookiecutter.package_name}}.jobs.execute import execute
from {{cookiecutter.package_name}}.runs import find_run

from .conftest import SMALL


@pytest.mark.parametrize(("data", "engine"), [("shop", "kernel"), ("table", "inprocess")])
def test_every_notebook_runs(data: str, engine: str, write_csv: Callable[..., list[str]]) -> None:
    rows = [
        f"{i % 17},{'abc'[i % 3]},2026-01-{i % 28 + 1:02d},{i % 17 + i % 3}" for i in range(300)
    ]
    tables = write_csv("number,word,when,y", rows, "y", "data.task=regression", "model=linear")
    config = load_config([*(SMALL if data == "shop" else tables), f"jobs.engine={engine}"])
    folder = execute(config)
    made = sorted(path.name for path in folder.glob("*.html"))
    assert made == sorted(["index.html", *(f"{job}.html" for job in config.jobs.graph)])
    assert find_run("latest", "jobs") == folder
