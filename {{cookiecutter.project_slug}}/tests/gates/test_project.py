"""The repository as a whole: variants of what is found, and of what is not."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gates import project
from gates.core.gate import Context
from gates.core.rules import Finding
from gates.core.settings import Settings

Look = Callable[[Context], Iterator[Finding]]


def found(look: Look, root: Path) -> list[tuple[str, int | None]]:
    return [(str(one.path), one.line) for one in look(Context(root, Settings()))]


def tree(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_nothing_is_asked_of_a_folder_that_is_no_project(tmp_path: Path) -> None:
    assert found(project.check, tmp_path) == []


# --- PR601

CONTRACT = """
[tool.importlinter]
root_package = "{package}"

[[tool.importlinter.contracts]]
name = "one way"
type = "layers"
containers = ["{package}"]
layers = {layers}
"""


def test_each_chain_of_imports_is_named_where_it_begins(tmp_path: Path) -> None:
    package = tmp_path / "src" / "small_shop"
    for layer in ("data", "training"):
        (package / layer).mkdir(parents=True)
        (package / layer / "__init__.py").touch()
    (package / "__init__.py").touch()
    (package / "helpers.py").write_text("from .training import fit\n")
    (package / "training" / "fit.py").touch()
    (package / "data" / "read.py").write_text("import os\n\nfrom ..training import fit\n")
    (package / "data" / "rows.py").write_text("from .. import helpers\n")
    layers = '["training", "data"]'
    pyproject = tmp_path / "pyproject.toml"
    pyproject.write_text(CONTRACT.format(package="small_shop", layers=layers))
    findings = list(project.check_imports(Context(tmp_path, Settings())))
    assert {(one.path.name, one.line) for one in findings} == {("read.py", 3), ("rows.py", 1)}
    assert "small_shop.data is not allowed to import small_shop.training" in findings[0].what


def test_a_contract_that_cannot_be_checked_says_so(tmp_path: Path) -> None:
    (tmp_path / "src" / "small_shop").mkdir(parents=True)
    (tmp_path / "src" / "small_shop" / "__init__.py").touch()
    pyproject = tmp_path / "pyproject.toml"
    pyproject.write_text(CONTRACT.format(package="small_shop", layers='["serving", "data"]'))
    (finding,) = project.check_imports(Context(tmp_path, Settings()))
    assert finding.path == Path("pyproject.toml")
    assert "does not exist" in finding.what


# --- PR602

PROJECT = """\
[project]
name = "shop"
requires-python = ">=3.11,<3.14"
dependencies = ["polars>=1.9,<2", "ibis_framework[duckdb]>=11", "tables @ https://a.example/t.whl"]

[project.optional-dependencies]
gpu = ["torch>=2"]

[dependency-groups]
dev = ["ruff>=0.14; sys_platform != 'win32'", { include-group = "docs" }]
docs = ["mkdocs"]

[tool.uv]
exclude-newer = "2030-11-20T00:00:00Z"
"""
LOCK = """\
version = 1
requires-python = ">=3.11, <3.14"

[options]
exclude-newer = "2030-11-20T00:00:00Z"

[[package]]
name = "polars"
source = { registry = "https://index.example" }

[[package]]
name = "shop"
source = { editable = "." }

[package.metadata]
requires-dist = [
    { name = "ibis-framework", extras = ["duckdb"], specifier = ">=11" },
    { name = "polars", specifier = ">=1.9,<2" },
    { name = "tables", url = "https://a.example/t.whl" },
    { name = "torch", marker = "extra == 'gpu'", specifier = ">=2" },
]

[package.metadata.requires-dev]
dev = [
    { name = "ruff", marker = "sys_platform != 'win32'", specifier = ">=0.14" },
    { name = "mkdocs" },
]
docs = [{ name = "mkdocs" }]
"""


@pytest.mark.parametrize(
    ("before", "after", "what"),
    [
        ("", "", ""),
        ('"polars>=1.9,<2"', '"Polars<2, >=1.9"', ""),
        ('"polars>=1.9,<2"', '"polars>=1.10,<2"', "other versions or extras"),
        ("[duckdb]", "[bigquery]", "other versions or extras"),
        ('dependencies = ["polars>=1.9,<2", ', "dependencies = [", "still has"),
        ('"ruff>=0.14;', '"ruff>=0.15;', "in group 'dev'"),
        (">=3.11,<3.14", ">=3.12,<3.14", "for Python"),
        ("2030-11-20T", "2031-01-20T", "exclude-newer"),
    ],
)
def test_the_lock(tmp_path: Path, before: str, after: str, what: str) -> None:
    (tmp_path / "pyproject.toml").write_text(PROJECT.replace(before, after) if before else PROJECT)
    (tmp_path / "uv.lock").write_text(LOCK)
    findings = list(project.check_lock(Context(tmp_path, Settings())))
    assert len(findings) == bool(what)
    assert all(what in one.what and one.line for one in findings)


def test_a_python_is_compared_by_what_it_lets_in(tmp_path: Path) -> None:
    """As uv notes a single minor version."""
    (tmp_path / "pyproject.toml").write_text(PROJECT.replace(">=3.11,<3.14", ">=3.13,<3.14"))
    (tmp_path / "uv.lock").write_text(LOCK.replace(">=3.11, <3.14", "==3.13.*"))
    assert not list(project.check_lock(Context(tmp_path, Settings())))


# --- PR603

MAKEFILE = ".PHONY: all train\nPACKAGE := shop\nall: train\ntrain test:\n\t@echo $(PACKAGE):x\n"


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("```\nmake\nmake train  # with its scores\n```", False),
        ("```\nmake trian\n```", True),
        ('```bash\n$ make train ARGS="model=linear seed=7"\n```', False),
        ("```bash\nmake test && make deploy\n```", True),
        ("Run `make deploy` then.", True),
        ("Run `make test` then.", False),
        ("```python\nmake deploy\n```", False),
        ("```\nmake sure that it runs\n```", False),
        ("```\ncd elsewhere\nmake deploy\n```", False),
        ("```\nmake -C docs html\n```", False),
        ("```\npython -m shop.train model=linear\n.venv/bin/python -m shop\n```", False),
        ("```\n.venv/bin/python -m shop.trian\n```", True),
        ("```\nuv run python -m shop.data\n```", True),
        ("```\npython -m venv .venv\npython -m pip install shop\n```", False),
        ("```\npytest tests/test_shop.py::test_rows -k 'a or b'\n```", False),
        ("```\npytest tests/test_shops.py\n```", True),
        ("```\npython src/shop/train.py\n```", False),
        ("```\npython src/shop/run.py\n```", True),
        ("```\npython your_script.py\n```", False),
        ('```\npython -c "it does not end\n```', False),
    ],
)
def test_a_command(tmp_path: Path, text: str, wrong: bool) -> None:
    tree(
        tmp_path,
        Makefile=MAKEFILE,
        src__shop__data__rows=".",
        tests__test=".",
    )
    for name in ("__init__.py", "__main__.py", "train.py", "data/__init__.py"):
        (tmp_path / "src" / "shop" / name).touch()
    (tmp_path / "tests" / "test_shop.py").touch()
    (tmp_path / "README.md").write_text(f"# Shop\n\n{text}\n")
    assert bool(found(project.check_commands, tmp_path)) == wrong


@pytest.mark.parametrize("line", ["include more.mk", "$(OUT): x", "%.html: %.md"])
def test_targets_that_cannot_be_known_are_not_missed(tmp_path: Path, line: str) -> None:
    tree(tmp_path, Makefile=f"{MAKEFILE}{line}\n")
    (tmp_path / "README.md").write_text("`make deploy`\n")
    assert found(project.check_commands, tmp_path) == []


# --- PR604


@pytest.mark.parametrize(
    ("name", "text", "lines"),
    [
        ("README.md", "# " + "{" * 2 + " cookiecutter.project_name }}", [1]),
        ("README.md", "\nTODO: describe the data", [2]),
        ("README.md", "Lorem ipsum dolor", [1]),
        ("README.md", "Ask <your team>.", [1]),
        ("README.md", "Call it with `--user <your name>`.", []),
        ("README.md", "```\nlogin <your name>\n```\nWrite to you@example.com", [4]),
        ("README.md", "What is left to do is in TODO.md; change me, said the moon.", []),
        ("pyproject.toml", 'authors = [{ name = "Your Name" }]', [1]),
        ("pyproject.toml", 'authors = [{ name = "Ada", email = "ada@shop.example" }]', []),
        ("conf/data/shop.yaml", "path: <your table>", [1]),
        ("conf/data/shop.yaml", "path: CHANGEME", [1]),
        ("conf/data/shop.yaml", "path: ???", []),
    ],
)
def test_placeholders(tmp_path: Path, name: str, text: str, lines: list[int]) -> None:
    tree(tmp_path, **{name.replace("/", "__"): text})
    assert [line for _, line in found(project.check_placeholders, tmp_path)] == lines


# --- PR605


@pytest.mark.parametrize(
    ("name", "kilobytes", "wrong"),
    [
        ("rows.csv", 1500, True),
        ("rows.csv", 500, False),
        ("model.UBJ", 1500, True),
        ("rows.tar.gz", 1500, True),
        ("package-lock.json", 1500, False),
        ("figure.svg", 1500, False),
    ],
)
def test_data_in_git(tmp_path: Path, name: str, kilobytes: int, wrong: bool) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    (tmp_path / name).write_bytes(b"x" * 1000 * kilobytes)
    assert found(project.check_data, tmp_path) == []
    subprocess.run(["git", "-C", str(tmp_path), "add", name], check=True)
    assert found(project.check_data, tmp_path) == ([(name, None)] if wrong else [])
    (tmp_path / ".gitattributes").write_text("* filter=lfs\n")
    assert found(project.check_data, tmp_path) == []
