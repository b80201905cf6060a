"""A small good repository: one notebook with its script, a package, the project's own conf/."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from gates.pairs.pairing import main as pairs_main

from .planting import Repository

PROJECT = Path(__file__).parents[2]
PACKAGE = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["gates"]["package"]
PYPROJECT = f"""\
[project]
name = "small"
version = "0.1.0"

[tool.gates]
package = "{PACKAGE}"
layout = "project"
paths = ["notebooks", "src"]
"""
SCRIPT = """\
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
#
# Counts clicks, for data scientists.
#
# ## Executive summary
#
# There are some.

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


def git(root: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", "-C", str(root), *identity, *arguments], check=True, capture_output=True)


@pytest.fixture(scope="session")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository as committed, to be copied."""
    root = tmp_path_factory.mktemp("good")
    package = root / "src" / PACKAGE
    package.mkdir(parents=True)
    (package / "__init__.py").write_text('"""A package."""\n')
    (root / "README.md").write_text("# Small\n")
    (root / "pyproject.toml").write_text(PYPROJECT)
    (root / "notebooks").mkdir()
    (root / "notebooks" / "01_clicks.py").write_text(SCRIPT)
    git(root, "init", "--quiet")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        pairs_main(["--from", "py", "notebooks/01_clicks.py"])
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message", "good")
    return root


@pytest.fixture
def repository(good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """A copy of the small repository; the current folder is its root."""
    root = tmp_path / "small"
    shutil.copytree(good, root)
    monkeypatch.chdir(root)
    return Repository(root, Path("notebooks/01_clicks.ipynb"), Path("src", PACKAGE))


@pytest.fixture
def with_conf(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """The small repository with a copy of the project's configuration and notebooks."""
    conf = repository.root / "conf"
    shutil.copytree(PROJECT / "conf", conf)
    for path in (PROJECT / "notebooks").glob("[0-9]*"):
        shutil.copy(path, repository.root / "notebooks" / path.name)
    entry = conf / "config.yaml"  # whatever options the project has made its defaults
    text = re.sub(r"- data: \w+", "- data: shop", entry.read_text())
    entry.write_text(re.sub(r"- model: \w+", "- model: boosting", text))
    monkeypatch.setattr(f"{PACKAGE}.config.load.CONF", conf)
    return repository
