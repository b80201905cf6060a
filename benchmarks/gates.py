"""The notebook gates against the usual chain of tools, side by side on the same notebooks.

    make bench                     100 and 1,000 pairs, and one notebook at commit
    make bench ARGS="--pairs 100 --runs 1"

The chain is nbstripout, ``jupytext --sync --pre-commit-mode``, ruff and a layout linter (pynblint);
ours is ``gates --fix`` and the same ruff. Both work on committed pairs of notebooks without outputs
where nothing is wrong, which is what a hook sees nearly always. The sides take turns, so that a
machine that grows slower is slower for both; medians and ratios are printed.
"""

from __future__ import annotations

import argparse
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import nbformat
from measure import PROJECT, ROOT, Cost, machine, run, take_turns, uv

TOOLS = ROOT / "build" / "bench"
SIDES = {
    "ours": [str(ROOT), "ruff", "pre-commit"],
    "chain": ["nbstripout", "jupytext", "ruff", "pre-commit"],
    "linter": ["pynblint==0.1.6", "click<8.2", "typer<0.16"],  # what it works with today
}
TEXT = " ".join(["What is seen here, in words."] * 12)
SECTIONS = 8  # of a notebook: a heading, two cells of text, two or three of code each


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--pairs", type=int, nargs="*", default=[100, 1000])
    parser.add_argument("--runs", type=int, default=5, help="of 100 pairs; of more, fewer")
    parser.add_argument("--only", choices=("pairs", "commit"), help="one of the two tables")
    options = parser.parse_args(argv)
    for side, packages in SIDES.items():
        install(side, packages)
    print(machine())
    if options.only != "commit":
        compare_pairs(options.pairs, options.runs)
    if options.only != "pairs":
        compare_commit(options.runs)
    return 0


def install(side: str, packages: Sequence[str]) -> None:
    print(f"installing what {side} needs", file=sys.stderr)
    uv("venv", "--quiet", "--allow-existing", "--python", sys.executable, str(TOOLS / side))
    reinstall = ["--reinstall-package", "cookiecutter-scalable-ml"] if side == "ours" else []
    uv(
        "pip",
        "install",
        "--quiet",
        "--compile-bytecode",
        *reinstall,
        "--python",
        tool(side, "python"),
        *packages,
    )


def tool(side: str, name: str) -> str:
    return str(TOOLS / side / "bin" / name)


# --- many pairs


def compare_pairs(sizes: Sequence[int], runs: int) -> None:
    print("\n| pairs | what | wall s | CPU s | peak MiB | ratio of wall |")
    print("|---|---|---|---|---|---|")
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            root, theirs = Path(folder, "ours"), Path(folder, "chain")
            make_repository(root, size)
            make_repository(theirs, size)
            settle_chain(theirs)
            repeat = max(1, runs if size <= 100 else runs // 5)
            sides: dict[str, Callable[[], Cost]] = {
                "the chain": partial(run_chain, theirs),
                "ours, first run": partial(run_ours, root, known=False),
                "ours, later runs": partial(run_ours, root, known=True),
            }
            costs = take_turns(sides, repeat)
            chain = costs["the chain"].wall
            for name, cost in costs.items():
                ratio = "1" if name == "the chain" else f"1/{chain / cost.wall:.0f}"
                print(
                    f"| {size:,} | {name} | {cost.wall:.2f} | {cost.cpu:.2f} "
                    f"| {cost.memory:.0f} | {ratio} |",
                    flush=True,
                )
            for place in (root, theirs):
                changed = git(place, "diff")[:3000]
                assert not changed, f"a tool changed a good notebook:\n{changed}"


def run_ours(root: Path, *, known: bool) -> Cost:
    """All gates and ruff; without ``known`` nothing is remembered of an earlier run."""
    if not known:
        for place in (root / ".git").glob("gates*"):
            shutil.rmtree(place) if place.is_dir() else place.unlink()
    return run(
        root,
        [tool("ours", "gates"), "--fix", "--layout", "project", "notebooks"],
        *ruff("ours"),
    )


def run_chain(root: Path) -> Cost:
    """Each tool once over all files, as hooks call them."""
    notebooks = sorted(str(path.relative_to(root)) for path in root.glob("notebooks/*.ipynb"))
    pairs = sorted(str(path.relative_to(root)) for path in root.glob("notebooks/*.*"))
    return run(
        root,
        [tool("chain", "nbstripout"), *notebooks],
        [tool("chain", "jupytext"), "--sync", "--pre-commit-mode", *pairs],
        *ruff("chain"),
        [tool("linter", "pynblint"), "notebooks"],
    )


def settle_chain(root: Path) -> None:
    """Commit the scripts as jupytext writes them, with its versions in their headers."""
    notebooks = sorted(str(path.relative_to(root)) for path in root.glob("notebooks/*.ipynb"))
    strip = [tool("chain", "nbstripout"), *notebooks]
    sync = [tool("chain", "jupytext"), "--sync", *notebooks]
    run(root, strip, sync, *ruff("chain"), strip, sync, strip, sync)
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--allow-empty", "--message", "as the chain has it")


def ruff(side: str) -> list[list[str]]:
    """Ruff over the notebooks, without a cache: a hook meets files it has not seen."""
    check = [tool(side, "ruff"), "check", "--no-cache", "--ignore", "E402,B018", "notebooks"]
    return [check, [tool(side, "ruff"), "format", "--no-cache", "notebooks"]]


# --- one notebook at commit

HOOKS = """\
repos:
  - repo: local
    hooks:
"""
HOOK = """\
      - id: {id}
        name: {id}
        entry: {entry}
        language: system
        files: {files}
        require_serial: true
"""


def compare_commit(runs: int) -> None:
    """`git commit` of one notebook that was edited and run: each hook there is, end to end."""
    print("\n| one changed notebook | git commit, wall s | CPU s | ratio of wall |")
    print("|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        plain, ours = Path(folder, "plain"), Path(folder, "ours")
        for root in (plain, ours):
            make_repository(root, 30)
        (plain / ".pre-commit-config.yaml").write_text(
            HOOKS
            + hook("nbstripout", tool("chain", "nbstripout"))
            + hook("ruff", f"{tool('chain', 'ruff')} check --fix --ignore E402,B018")
            + hook("format", f"{tool('chain', 'ruff')} format")
        )
        gates = f"{tool('ours', 'gates')} --layout project --fix"
        pair = r"\.(py|ipynb)$"
        (ours / ".pre-commit-config.yaml").write_text(
            HOOKS
            + hook("pairs", f"{gates} --select NB3", pair)
            + hook("ruff", f"{tool('ours', 'ruff')} check --fix --ignore E402,B018")
            + hook("format", f"{tool('ours', 'ruff')} format")
            + hook("gates", gates, pair)
        )
        settle_chain(plain)
        for root, side in ((plain, "chain"), (ours, "ours")):
            subprocess.run(
                [tool(side, "pre-commit"), "install"],
                cwd=root,
                check=True,
                stdout=subprocess.DEVNULL,
            )
            git(root, "add", ".")
            git(root, "commit", "--quiet", "--no-verify", "--allow-empty", "--message", "hooks")
        sides: dict[str, Callable[[], Cost]] = {
            "nbstripout and ruff": partial(commit, plain),
            "all notebook gates and ruff": partial(commit, ours),
        }
        if (PROJECT / ".venv").is_dir():
            project = Path(folder, "project")
            copy_project(project)
            sides["every hook of a generated project"] = partial(commit, project)
        costs = take_turns(sides, 3 * runs)
        base = costs["nbstripout and ruff"].wall
        for name, cost in costs.items():
            print(f"| {name} | {cost.wall:.2f} | {cost.cpu:.2f} | {cost.wall / base:.2f} |")


def copy_project(root: Path) -> None:
    subprocess.run(["git", "clone", "--quiet", str(PROJECT), str(root)], check=True)
    (root / ".venv").symlink_to(PROJECT / ".venv")
    shutil.copy(PROJECT / "uv.lock", root / "uv.lock")
    subprocess.run(
        [".venv/bin/pre-commit", "install"], cwd=root, check=True, stdout=subprocess.DEVNULL
    )
    git(root, "add", "uv.lock")
    git(root, "commit", "--quiet", "--no-verify", "--allow-empty", "--message", "lock")


def hook(name: str, entry: str, files: str = r"\.ipynb$") -> str:
    return HOOK.format(id=name, entry=entry, files=files)


def commit(root: Path) -> Cost:
    """Edit both halves of a pair, as JupyterLab saves them, and commit; what the commit took."""
    pairs = sorted((root / "notebooks").glob("*.ipynb"))
    notebook = pairs[len(git(root, "log", "--format=%h").split()) % len(pairs)]
    number = time.time_ns()
    for path in (notebook, notebook.with_suffix(".py")):
        text = path.read_text()
        path.write_text(re.sub(r'(# [A-Z][^\n"\\]*)', rf"\1 {number}", text, count=1))  # the title
    git(root, "add", ".")
    return run(root, ["git", *IDENTITY, "commit", "--quiet", "--message", "edit"])


# --- notebooks of realistic size


def make_repository(root: Path, pairs: int) -> None:
    """A git repository with ``pairs`` committed notebooks, each with its script."""
    import jupytext

    folder = root / "notebooks"
    folder.mkdir(parents=True)
    width = len(str(pairs - 1))
    for number in range(pairs):
        notebook = make_notebook(number)
        path = folder / f"{number:0{max(width, 2)}d}_notebook.ipynb"
        nbformat.write(notebook, path)
        script = jupytext.writes(notebook, "py:percent")
        lines = [line for line in script.splitlines(keepends=True) if "_version:" not in line]
        path.with_suffix(".py").write_text("".join(lines))
    (root / "pyproject.toml").write_text('[tool.jupytext]\nformats = "ipynb,py:percent"\n')
    git(root, "init", "--quiet")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message", "notebooks")


def make_notebook(number: int) -> nbformat.NotebookNode:
    """About forty cells and 200 lines of code, laid out as the gates ask for."""
    draw = random.Random(number)
    new = nbformat.v4
    cells = [
        new.new_markdown_cell(
            f"# Notebook {number}\n\n## Purpose and audience\n\nFor data scientists.\n\n"
            "## Executive summary\n\nIt says what the rows say."
        ),
        new.new_code_cell("users: int = 1000", metadata={"tags": ["parameters"]}),
        new.new_markdown_cell("## Imports and configuration"),
        new.new_code_cell(
            "import numpy as np\nimport pandas as pd\n\nrng = np.random.default_rng(7)\n"
            'rows = pd.DataFrame({"user": rng.integers(0, users, 5000), "x": rng.random(5000)})'
        ),
    ]
    for section in range(1, SECTIONS + 1):
        cells += [
            new.new_markdown_cell(f"## {section}. Part {section}"),
            new.new_markdown_cell(f"The rows of part {section}: {TEXT}"),
        ]
        for part in range(draw.choice([2, 3])):
            name = f"table_{section}_{part}"
            lines = [f"{name} = rows[rows.x > {draw.random():.3f}].copy()"]
            for column in range(draw.randrange(4, 10)):
                lines.append(
                    f'{name}["feature_{column}"] = {name}.x * {draw.randrange(1, 99)} + {column}'
                )
            lines.append(f'{name}.groupby("user").mean().head()')
            cells.append(new.new_code_cell("\n".join(lines)))
    cells.append(new.new_markdown_cell("## Conclusions and next steps\n\nNone."))
    notebook: nbformat.NotebookNode = new.new_notebook(cells=cells)
    notebook.metadata["kernelspec"] = {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    }
    for index, cell in enumerate(notebook.cells):
        cell["id"] = f"{number:04x}{index:04x}"
    return notebook


# --- measuring

IDENTITY = ["-c", "user.name=bench", "-c", "user.email=bench@example.org"]


def git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *IDENTITY, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    sys.exit(main())
