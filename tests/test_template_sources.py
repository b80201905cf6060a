"""The template reads like the project it makes: names are substituted, nothing else."""

import re
from pathlib import Path

import pytest

from conftest import TEMPLATE, Render

PROJECT = TEMPLATE / "{{cookiecutter.project_slug}}"
CACHES = {
    "__pycache__",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".venv",
    ".ipynb_checkpoints",
}
SOURCES = {
    path.relative_to(PROJECT).as_posix(): path.read_bytes()
    for path in sorted(PROJECT.rglob("*"))
    if path.is_file() and not CACHES.intersection(path.relative_to(PROJECT).parts)
}
# What a shared file has more in a stage, drawn in at the start of a line.
STAGES_PART = re.compile(r"""^\{% include cookiecutter.stage ~ "/[a-z.]+" ignore missing %\}""")


def test_there_is_a_project() -> None:
    assert {"pyproject.toml", "README.md", "Makefile"} <= set(SOURCES)


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in SOURCES
        if name.endswith((".py", ".ipynb")) or (name.startswith("conf/") and name.endswith(".yaml"))
    ],
)
def test_no_statement_of_jinja_in_code_and_configuration(name: str) -> None:
    for number, line in enumerate(SOURCES[name].decode().splitlines(), 1):
        if name == "conf/config.yaml":
            line = STAGES_PART.sub("", line)
        for sign in ("{%", "{#"):
            assert sign not in line, f"{name}:{number} holds {sign}; only names are substituted"


def test_files_without_an_answer_are_copied_as_they_stand(render: Render) -> None:
    project = render(package_name="another", license="MIT", stage="pipeline")
    compared = 0
    for name, source in SOURCES.items():
        made = project / name.replace("{{cookiecutter.package_name}}", "another")
        if b"cookiecutter" not in source:
            assert made.read_bytes() == source, f"{name}: Jinja changed it"
            compared += 1
    assert compared > len(SOURCES) / 2


def test_notebooks_and_scripts_come_in_pairs() -> None:
    notebooks = {Path(name) for name in SOURCES if name.startswith("notebooks/")}
    scripts = {name.with_suffix("") for name in notebooks if name.suffix == ".py"}
    paired = {name.with_suffix("") for name in notebooks if name.suffix == ".ipynb"}
    assert scripts == paired
    assert scripts


def test_fragments_are_drawn_in_one_way() -> None:
    """Nothing is drawn in by another statement, and every fragment is drawn in somewhere."""
    drawn: set[str] = set()
    for name, source in SOURCES.items():
        for line in source.decode(errors="ignore").splitlines():
            if "{% include" in line:
                assert STAGES_PART.match(line), f"{name}: {line}"
                drawn.add(line.split("/", 1)[1].split('"')[0])
    fragments = {path.name for path in (TEMPLATE / "templates").glob("*/*")} - {"files.txt"}
    assert fragments == drawn
