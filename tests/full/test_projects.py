"""Whole projects: made, set up, checked, tested and run, as their owners would."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from whole import QUICK, every_library_is_a_refused_name

from conftest import TEMPLATE, Render, run

pytestmark = pytest.mark.full

SHARED_DATA = TEMPLATE.parent / "shared" / "data"
AWKWARD = {
    "project_name": 'The "shop\'s" ranker \\ 🛒: no {{ 7*7 }} <b> ' + "and more " * 8,
    "project_slug": "Awkward-Name_" + "x" * 47,
    "package_name": "awkward_" + "y" * 32,
    "description": 'It is "quoted", \\escaped\\, 🎉: and # long, ' + "word " * 60,
    "author_name": 'Renée "Ré" O\'Connor \\ 🎉, and others: no',
    "author_email": "o'connor+{x}@example.com",
}
PROJECTS = {
    "defaults": ("3.11", {}),
    "awkward": ("3.11", AWKWARD | {"stage": "pipeline"}),
    "bsd-3.12": ("3.12", {"project_slug": "b", "license": "BSD-3-Clause"}),
    "proprietary-3.13": (
        "3.13",
        {
            "project_name": "no",
            "license": "Proprietary",
            "python_version": "3.13",
            "stage": "pipeline",
        },
    ),
}
# Another name is nothing to most tests: these go through every file, or run them.
NAMES = """make test ARGS="-m 'not slow' tests/gates tests/test_config.py tests/test_extend.py \\
  tests/test_jobs.py tests/test_notebooks.py tests/test_reproducible.py tests/test_runs.py" """
TESTS = {"defaults": "make test", "proprietary-3.13": QUICK}


# A schema whose defaults differ from conf/ would mislead whoever reads it.
SCHEMA_AGREES = """
from importlib import import_module
from pathlib import Path
package = next(Path("src").iterdir()).name
config = import_module(package + ".config").load_config()
for name in ("data", "features", "model", "training", "evaluation"):
    section = getattr(config, name)
    assert section == type(section)(), name
"""


def find_python(version: str) -> str | None:
    """An interpreter of this version on the PATH or among those of pyenv."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    installed = sorted(pyenv.glob(f"versions/{version}.*/bin/python"))
    on_path = shutil.which(f"python{version}")
    for candidate in [on_path, *map(str, installed), sys.executable]:
        if candidate is None:
            continue
        # pyenv puts stand-ins on the PATH for Pythons that are switched off: ask before trusting.
        command = [candidate, "-c", "import sys; print(*sys.version_info[:2], sep='.')"]
        said = subprocess.run(command, capture_output=True, encoding="utf-8").stdout.strip()
        if said == version:
            return candidate
    return None


def unchanged(project: Path) -> None:
    """No file differs from what was generated, and none has come besides the lock."""
    assert run(project, "git status --porcelain").strip() == "?? uv.lock"


@pytest.mark.parametrize("name", PROJECTS)
def test_project(name: str, render: Render, tmp_path: Path) -> None:
    version, answers = PROJECTS[name]
    python = find_python(version)
    if python is None:
        pytest.skip(f"Python {version} is not on this machine")
    project = render(**answers)

    run(project, "make setup", UV_PYTHON=python)
    run(project, f".venv/bin/python -c '{SCHEMA_AGREES}'")
    said = run(project, ".venv/bin/python -c 'import sys; print(sys.version)'")
    assert said.startswith(version)
    if name == "proprietary-3.13":
        own_table(project, tmp_path, python)
    run(project, "make check", UV_PYTHON=python)
    unchanged(project)
    run(project, TESTS.get(name, NAMES), UV_PYTHON=python)
    run(project, "make jobs", UV_PYTHON=python)
    unchanged(project)

    latest = project / "runs" / "latest"
    manifest = json.loads((latest / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["status"] == "succeeded"
    reports = [path for path in latest.rglob("*.html") if path.name != "index.html"]
    assert len(reports) == 4
    assert (latest / "index.html").is_file()

    every_library_is_a_refused_name(project)


# --- Real tables. --------------------------------------------------------------------------------

# File, target, more for `adopt`, and the columns that it has to find.
TABLES = {
    "titanic": ("titanic.csv", "survived", "", {"alive": "leak", "class": "duplicate"}),
    "taxis": (
        "taxis.csv",
        "tip",
        "--time pickup",
        {"total": "leak", "dropoff": "after the fact"},
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_real_table(name: str, render: Render) -> None:
    """Nothing is edited: adopted, trained, judged, run as jobs, checked."""
    file, target, more, odd = TABLES[name]
    table = SHARED_DATA / file
    if not table.is_file():
        pytest.skip(f"{table} is not on this machine")
    project = render(package_name="ranker")
    run(project, "make setup")
    bare = f".venv/bin/python -m ranker.train data=table data.path={table} data.target={target}"
    assert next(iter(odd)) in run(project, bare, expected=1)

    said = run(project, f"make adopt ARGS='{table} --target {target} {more}'")
    for column, kind in odd.items():
        assert any(column in line and kind in line for line in said.splitlines()), column
    for command in ("train", "evaluate", "jobs"):
        began = time.monotonic()
        arguments = "" if command == "evaluate" else f"ARGS=data={name}"
        said = run(project, f"make {command} {arguments}")
        print(f"{name}: make {command} took {time.monotonic() - began:.1f} s\n{said}")
        manifest = json.loads((project / "runs" / "latest" / "manifest.json").read_text())
        assert manifest["status"] == "succeeded"
    assert list((project / "runs").glob("*-evaluate-*/card.html"))
    make_it_the_default(project, name)
    run(project, "make check")


def make_it_the_default(project: Path, name: str) -> None:
    """What the project's README says about one's own data, and other settings changed as well."""
    path = project / "conf" / "config.yaml"
    entry = path.read_text()
    for before, after in (
        ("- data: shop", f"- data: {name}"),
        ("- model: boosting", "- model: linear"),
        ("seed: 42", "seed: 7"),
    ):
        assert before in entry
        entry = entry.replace(before, after)
    path.write_text(entry)
    run(project, "git add --all")


def own_table(project: Path, folder: Path, python: str) -> None:
    """The tests have to hold whatever a project makes its defaults."""
    rows = [f"{n},{n % 7},{'ab'[n % 3 == 0]},{n * 7919 % 101 % 2}" for n in range(400)]
    (folder / "orders.csv").write_text("\n".join(["id,visits,kind,bought", *rows, ""]))
    run(project, f"make adopt ARGS='{folder / 'orders.csv'} --target bought'", UV_PYTHON=python)
    make_it_the_default(project, "orders")
    run(project, "make steps && git add --all && git reset --quiet uv.lock", UV_PYTHON=python)
    # Not verified by its hooks: all of them run next, in `make check`.
    run(project, "git commit --quiet --no-verify --message 'A table of our own'")
