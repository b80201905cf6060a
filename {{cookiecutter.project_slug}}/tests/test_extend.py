"""The example of docs/extend.md, taken out of the page, applied and tested as it says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from {{cookiecutter.package_name}}.config import PROJECT_ROOT

PACKAGE = "{{cookiecutter.package_name}}"


def blocks() -> dict[str, str]:
    """The code of "A model" by the name of its file."""
    page = (PROJECT_ROOT / "docs" / "extend.md").read_text().split("## A model\n")[1]
    found = {}
    for kind, code in re.findall(r"```(\w+)\n(.*?)```", page.split("\n## ")[0], re.DOTALL):
        first, _, rest = code.partition("\n")
        name = first.removeprefix("# ") if kind == "python" else "neighbours.yaml"
        found[name] = rest if kind == "python" else code
    return found


def test_a_model_takes_less_than_forty_lines_with_its_test() -> None:
    found = blocks()
    assert sorted(found) == ["neighbours.py", "neighbours.yaml", "schema.py", "test_neighbours.py"]
    lines = [line for code in found.values() for line in code.splitlines() if line.strip()]
    assert len(lines) < 40


@pytest.mark.slow
def test_the_model_of_the_page_works_as_the_page_says(tmp_path: Path) -> None:
    found = blocks()
    for name in ("conf", "src", "tests"):
        ignored = shutil.ignore_patterns("__pycache__", "gates")
        shutil.copytree(PROJECT_ROOT / name, tmp_path / name, ignore=ignored)
    shutil.copy(PROJECT_ROOT / "pyproject.toml", tmp_path)
    package = tmp_path / "src" / PACKAGE
    (package / "training" / "models" / "neighbours.py").write_text(found["neighbours.py"])
    (tmp_path / "conf" / "model" / "neighbours.yaml").write_text(found["neighbours.yaml"])
    (tmp_path / "tests" / "test_neighbours.py").write_text(found["test_neighbours.py"])
    schema = package / "config" / "schema.py"
    text = schema.read_text()
    settings, _, listed = found["schema.py"].strip().rpartition("\n")
    known = re.search(r"^ModelConfig = .*$", text, re.MULTILINE)
    assert known is not None
    assert set(re.findall(r"\w+Config", listed)) > set(re.findall(r"\w+Config", known[0]))
    text = text.replace("DataConfig = ", f"{settings.strip()}\n\n\nDataConfig = ", 1)
    schema.write_text(text.replace(known[0], listed))

    written = [f"src/{PACKAGE}/training/models/neighbours.py", "tests/test_neighbours.py"]
    written.append(f"src/{PACKAGE}/config/schema.py")
    variables = {**os.environ, "PYTHONPATH": str(tmp_path / "src")}
    ruff = [sys.executable, "-m", "ruff"]
    mypy = [sys.executable, "-m", "mypy", "--no-incremental", "--follow-imports=silent"]
    train = [sys.executable, "-m", f"{PACKAGE}.train", "data=shop", "data.users=120"]
    commands = [
        [sys.executable, "-m", "pytest", "-q", "tests/test_neighbours.py"],
        [sys.executable, "-m", "pytest", "-q", "tests/test_models.py", "-k", "neighbours"],
        [*ruff, "check", *written],
        [*ruff, "format", "--check", *written],
        [*mypy, written[0]],
        [*train, "model=neighbours", "data.shard_users=50", "evaluation.resamples=50"],
    ]
    for command in commands:
        done = subprocess.run(
            command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
