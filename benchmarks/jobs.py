"""Notebooks as jobs against papermill and nbclient, side by side on the same notebooks.

    make bench-jobs                       all tables (minutes)
    make bench-jobs ARGS="--only short --runs 1"

Each side is a whole command as one types it, in the project's own environment. The sides take
turns, so that a machine that grows slower is slower for all; medians and ratios are printed. The
turn before the first measures memory, by looking at all processes of a side, and nothing else.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import yaml
from measure import PROJECT, Cost, adopt_orphans, machine, run, take_turns

TABLES = ("short", "long", "project", "many")
WORKERS = 2
SHORT = 16  # short notebooks
LONG = 60  # cells of the long one
WEIGHT = 5_000_000  # bytes of its outputs
IN_ORDER = "papermill CLI, one after the other"
AT_ONCE = "papermill CLI, two at a time"
NBCLIENT = "nbclient in one Python, two at a time"
KERNEL, INPROCESS = "ours, kernel", "ours, inprocess"

# What somebody writes who runs notebooks in parallel with nbclient.
PARALLEL = """\
import asyncio, sys
from pathlib import Path
import nbformat
from nbclient import NotebookClient

async def main(target, workers, *sources):
    turn = asyncio.Semaphore(int(workers))
    async def execute(source):
        async with turn:
            notebook = nbformat.read(source, as_version=4)
            await NotebookClient(notebook, timeout=600, kernel_name="python3").async_execute()
            nbformat.write(notebook, Path(target, Path(source).name))
    await asyncio.gather(*map(execute, sources))

asyncio.run(main(*sys.argv[1:]))
"""


@dataclass
class Bench:
    """Notebooks below ``folder``, and the commands that execute them in the project at ``root``."""

    root: Path
    folder: Path
    graph: dict[str, dict[str, Any]] = field(default_factory=dict)
    numbers: itertools.count[int] = field(default_factory=itertools.count)

    @property
    def package(self) -> str:
        return next((self.root / "src").glob("*/jobs")).parent.name

    @property
    def python(self) -> str:
        return str(self.root / ".venv" / "bin" / "python")

    def add(self, name: str, cells: Sequence[str], conclusion: str) -> None:
        """A notebook for all sides; ours also records ``conclusion`` at its end."""
        summarise = f"from {self.package}.jobs import summarise\nsummarise([{conclusion}])"
        for place, code in (
            ("theirs", cells),
            ("ours", [*cells[:-1], f"{cells[-1]}\n{summarise}"]),
        ):
            path = self.folder / place / name
            path.parent.mkdir(exist_ok=True)
            notebook = make_notebook(name, code)
            jupytext.write(notebook, path.with_suffix(".py"), fmt="py:percent")
            nbformat.write(notebook, path.with_suffix(".ipynb"))
        self.graph[name] = {"notebook": str(self.folder / "ours" / name)}

    def declare(self) -> None:
        """Write the graph of our jobs."""
        file = self.folder / "conf" / "jobs" / "bench.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        general = {"engine": "kernel", "workers": WORKERS, "only": [], "from": [], "force": False}
        file.write_text(yaml.safe_dump({**general, "graph": self.graph}, sort_keys=False))

    def new(self) -> Path:
        """A folder in which nothing is yet."""
        return self.folder / f"out-{next(self.numbers)}"

    def ours(self, *overrides: str, runs: Path | None = None, watch: bool = False) -> Cost:
        """Our whole command; where ``runs`` is not given, nothing has run before."""
        where = [f"hydra.searchpath=['file://{self.folder / 'conf'}']", "jobs=bench"]
        command = [self.python, "-m", f"{self.package}.jobs", *(where if self.graph else [])]
        variables = {"RUNS_DIR": str(runs or self.new())}
        return run(self.root, [*command, *overrides], environment=variables, watch=watch)

    def in_order(self, watch: bool = False) -> Cost:
        """The papermill command, one notebook after the other."""
        target = self.new()
        target.mkdir()
        tool = str(self.root / ".venv" / "bin" / "papermill")
        commands = [
            [tool, str(path), str(target / path.name), "--no-progress-bar"]
            for path in self._theirs()
        ]
        return run(self.root, *commands, watch=watch)

    def at_once(self, watch: bool = False) -> Cost:
        """The papermill command, two at a time."""
        target = self.new()
        target.mkdir()
        tool = str(self.root / ".venv" / "bin" / "papermill")
        names = "\n".join(path.name for path in self._theirs())
        (target / "names").write_text(names)
        each = [tool, f"{self.folder / 'theirs'}/{{}}", f"{target}/{{}}", "--no-progress-bar"]
        parallel = ["xargs", "-a", str(target / "names"), "-P", str(WORKERS), "-I{}", *each]
        return run(self.root, parallel, watch=watch)

    def nbclient(self, watch: bool = False) -> Cost:
        """nbclient in one Python, two notebooks at a time."""
        target = self.new()
        target.mkdir()
        names = [str(path) for path in self._theirs()]
        command = [self.python, "-c", PARALLEL, str(target), str(WORKERS), *names]
        return run(self.root, command, watch=watch)

    def _theirs(self) -> list[Path]:
        return sorted((self.folder / "theirs").glob("*.ipynb"))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--project", type=Path, default=PROJECT, help="a project with .venv")
    parser.add_argument("--runs", type=int, default=3, help="how often each side is measured")
    parser.add_argument("--only", nargs="*", choices=TABLES, default=TABLES)
    options = parser.parse_args(argv)
    root = options.project.resolve()
    if not (root / ".venv").is_dir():
        raise SystemExit(
            f"{root}: there is no project with its environment. Run `make demo` first."
        )
    adopt_orphans()
    print(machine())
    tables = {"short": short, "long": long, "project": project, "many": many}
    for name in options.only:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            tables[name](Bench(root, Path(folder)), options.runs)
    return 0


def short(bench: Bench, runs: int) -> None:
    """(a), (b) and (c): many short notebooks, as far as they cost more than their cells."""
    for number in range(SHORT):
        cells = [
            "import json\nimport math",
            f"values = [math.sqrt(each + {number}) for each in range(10_000)]",
            'print(json.dumps({"sum": sum(values)}))',
        ]
        bench.add(f"short_{number:02d}", cells, 'f"The sum is {sum(values):.1f}."')
    bench.declare()
    known = bench.folder / "known"
    bench.ours(runs=known)
    sides: dict[str, Callable[..., Cost]] = {
        IN_ORDER: bench.in_order,
        AT_ONCE: bench.at_once,
        NBCLIENT: bench.nbclient,
        KERNEL: bench.ours,
        INPROCESS: partial(bench.ours, "jobs.engine=inprocess"),
        "ours, nothing changed": partial(bench.ours, runs=known),
    }
    show(f"{SHORT} notebooks of 3 code cells", sides, runs, [IN_ORDER, NBCLIENT])


def long(bench: Bench, runs: int) -> None:
    """(d): one notebook with many cells and large outputs."""
    lines = WEIGHT // LONG // 100
    cells = [
        f'for line in range({lines}):\n    print(f"{number:02d} {{line:06d}} " + "x" * 89)'
        for number in range(LONG)
    ]
    bench.add("long", cells, '"Many lines."')
    bench.declare()
    sides: dict[str, Callable[..., Cost]] = {
        "papermill CLI": bench.in_order,
        KERNEL: bench.ours,
        INPROCESS: partial(bench.ours, "jobs.engine=inprocess"),
    }
    title = f"1 notebook of {LONG} cells, {WEIGHT // 1_000_000} MB of outputs"
    show(title, sides, runs, ["papermill CLI"])


def project(bench: Bench, runs: int) -> None:
    """(e): the project's own four notebooks, which train and evaluate a model."""
    wanted = "data.users=1000"

    def theirs(watch: bool = False) -> Cost:
        target = bench.new()
        target.mkdir()
        tool = str(bench.root / ".venv" / "bin" / "papermill")
        given = ["--no-progress-bar", "-y", json.dumps({"overrides": [wanted]})]
        commands = [
            [tool, str(path), str(target / path.name), *given]
            for path in sorted((bench.root / "notebooks").glob("*.ipynb"))
        ]
        variables = {"RUNS_DIR": str(target / "runs")}
        return run(bench.root, *commands, environment=variables, watch=watch)

    sides: dict[str, Callable[..., Cost]] = {
        IN_ORDER: theirs,
        KERNEL: partial(bench.ours, wanted),
        INPROCESS: partial(bench.ours, wanted, "jobs.engine=inprocess"),
    }
    show(f"The project's own 4 notebooks, {wanted}", sides, runs, [IN_ORDER])


def many(bench: Bench, runs: int) -> None:
    """For the record: what a job costs in a large graph, and when nothing of it changed."""
    for number in range(200):
        cells = ["import math", f"value = math.sqrt({number})", "print(value)"]
        bench.add(f"job_{number:03d}", cells, 'f"It is {value:.2f}."')
    bench.declare()
    known = bench.folder / "known"
    bench.ours("jobs.engine=inprocess", runs=known)
    sides: dict[str, Callable[..., Cost]] = {
        INPROCESS: partial(bench.ours, "jobs.engine=inprocess"),
        "ours, nothing changed": partial(bench.ours, "jobs.engine=inprocess", runs=known),
    }
    show("200 notebooks in one graph", sides, runs, [])


def show(
    title: str, sides: dict[str, Callable[..., Cost]], runs: int, bases: Sequence[str]
) -> None:
    """Measure and print a table; a column of ratios for each of ``bases``."""
    heads = ["wall s", "CPU s", "peak MiB", *(f"wall / {base.split(',')[0]}" for base in bases)]
    print(f"\n| {title} | {' | '.join(heads)} |\n{'|---' * (len(heads) + 1)}|", flush=True)
    first = {name: partial(side, watch=True) for name, side in sides.items()}
    costs = take_turns(sides, runs, first)
    for name, cost in costs.items():
        ratios = "".join(f" {cost.wall / costs[base].wall:.3f} |" for base in bases)
        print(f"| {name} | {cost.wall:.2f} | {cost.cpu:.2f} | {cost.memory:.0f} |{ratios}")


def make_notebook(name: str, cells: Sequence[str]) -> nbformat.NotebookNode:
    """A title, empty parameters and code cells."""
    new = nbformat.v4
    parts = [
        new.new_markdown_cell(f"# Notebook {name}\n\n## Executive summary\n\nAt the end."),
        new.new_code_cell("users: int = 3", metadata={"tags": ["parameters"]}),
        *[new.new_code_cell(code) for code in cells],
    ]
    notebook: nbformat.NotebookNode = new.new_notebook(cells=parts)
    notebook.metadata["kernelspec"] = {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    }
    for index, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{index}"
    return notebook


if __name__ == "__main__":
    sys.exit(main())
