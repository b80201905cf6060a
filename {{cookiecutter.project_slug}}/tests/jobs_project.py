"""Notebooks and a graph of jobs in a folder of their own, run by the real command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jupytext
import psutil
import yaml

from {{cookiecutter.package_name}}.config import PROJECT_ROOT, load_config

PACKAGE = load_config.__module__.split(".")[0]
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
SUMMARISE = f"from {PACKAGE}.jobs import summarise\n"
SUMMARISE += 'summarise([f"**{users}** users"], users=users)\n'


def write_pair(path: Path, code: str = SUMMARISE, text: str = NOTEBOOK) -> None:
    """A pair of script and notebook: ``path`` with ``.py`` and ``.ipynb``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    notebook = jupytext.reads(text + code, "py:percent")
    notebook.metadata["kernelspec"] = {"name": "python3", "language": "python", "display_name": "P"}
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
    for suffix, form in ((".py", "py:percent"), (".ipynb", "ipynb")):
        jupytext.write(notebook, path.with_suffix(suffix), fmt=form)


class JobsProject:
    """Jobs whose notebooks and runs lie below ``root``, and their graph below ``conf``."""

    def __init__(self, root: Path, conf: Path | None = None) -> None:
        self.root = root
        self.runs = root / "runs"
        self.conf = conf or root / "conf"
        self.graph: dict[str, dict[str, Any]] = {}

    def job(self, name: str, code: str = SUMMARISE, text: str = NOTEBOOK, **settings: Any) -> None:
        """Add a job and its notebook; ``settings`` as in ``conf/jobs/``."""
        write_pair(self.root / name, code, text)
        self._add({name: {"notebook": str(self.root / name), **settings}})

    def jobs(self, notebook: str, graph: dict[str, dict[str, Any]]) -> None:
        """Add jobs that execute one notebook."""
        write_pair(self.root / notebook)
        path = str(self.root / notebook)
        self._add({name: {"notebook": path, **settings} for name, settings in graph.items()})

    def _add(self, graph: dict[str, dict[str, Any]]) -> None:
        self.graph |= graph
        file = self.conf / "jobs" / "here.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        general = {"engine": "kernel", "workers": 2, "only": [], "from": [], "force": False}
        text = yaml.safe_dump({**general, "graph": self.graph}, sort_keys=False)
        file.write_text(text, encoding="utf-8")

    def command(self, *overrides: str) -> list[str]:
        here = [f"hydra.searchpath=['file://{self.conf}']", "jobs=here"]
        flags = [each for each in overrides if each.startswith("-")]  # Hydra wants them first
        others = [each for each in overrides if not each.startswith("-")]
        return [sys.executable, "-m", f"{PACKAGE}.jobs", *flags, *here, *others]

    def environment(self, **more: str) -> dict[str, str]:
        return os.environ | {"RUNS_DIR": str(self.runs)} | more

    def start(self, *overrides: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*overrides),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=PROJECT_ROOT,
            env=self.environment(**environment),
        )

    def run(self, *overrides: str, **environment: str) -> tuple[int, str]:
        """The exit status and what was printed."""
        process = self.start(*overrides, **environment)
        said, _ = process.communicate(timeout=300)
        return process.returncode, said

    def newest(self) -> Path:
        """The folder of the newest jobs run."""
        return max(self.runs.glob("*-jobs-*"), key=lambda path: path.stat().st_ctime_ns)

    def records(self, run: Path | None = None) -> dict[str, dict[str, Any]]:
        """What ``jobs.json`` says of each job."""
        text = ((run or self.newest()) / "jobs.json").read_text()
        return {record["job"]: record for record in json.loads(text)}

    def processes(self) -> list[psutil.Process]:
        """Every process that runs on behalf of these jobs, kernels included."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("RUNS_DIR") == str(self.runs):
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return [p for p in found if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
