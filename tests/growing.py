"""Copies of the template with versions of their own, for tests of growth."""

import json
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from conftest import TEMPLATE
from scalable_ml_growth import Template

PROJECT = "{{cookiecutter.project_slug}}"
PACKAGE = PROJECT + "/src/{{cookiecutter.package_name}}"
MADE = (".git", ".venv", ".tools", "build", "uv.lock", "__pycache__", ".hypothesis", "*_cache")
# Parts of a project that a test of growth by itself does without.
HEAVY = ("gates", "tests", "notebooks", "data", "jobs", "training", "evaluation", "runs")


def git(folder: Path, *arguments: str, check: bool = True) -> str:
    result = subprocess.run(
        ["git", *arguments], cwd=folder, check=check, capture_output=True, encoding="utf-8"
    )
    return result.stdout.strip()


def copy_template(to: Path, small: bool = True) -> Path:
    """Copy the template as it stands into a new repository, to be committed."""
    left_out = (*MADE, "tests", "benchmarks", *HEAVY) if small else MADE
    shutil.copytree(TEMPLATE, to, ignore=shutil.ignore_patterns(*left_out))
    git(to, "init", "--quiet", "--initial-branch=main")
    return to


def commit(template: Path, tag: str) -> str:
    """Commit everything, and tag it."""
    git(template, "add", "--all")
    git(template, "commit", "--quiet", "--message", tag)
    git(template, "tag", tag)
    return git(template, "rev-parse", "HEAD")


def edit(template: Path, name: str, change: Callable[[str], str]) -> None:
    path = template / name
    old = path.read_text(encoding="utf-8")
    new = change(old)
    assert new != old, f"the edit of {name} changes nothing"
    path.write_text(new, encoding="utf-8")


def insert(line: str, after: int) -> Callable[[str], str]:
    """A change that puts a line after so many lines."""

    def change(text: str) -> str:
        lines = text.splitlines(keepends=True)
        return "".join([*lines[:after], line + "\n", *lines[after:]])

    return change


def new_question(template: Path, name: str, default: str, rule: str) -> None:
    """Ask one more question, as a maintainer would add it."""
    edit(
        template,
        "cookiecutter.json",
        lambda text: text.replace('  "stage": [', f'  "{name}": {default},\n  "stage": ['),
    )
    edit(
        template,
        "scalable_ml_answers.py",
        lambda text: text.replace(
            '    "stage": (lambda', f'    "{name}": {rule},\n    "stage": (lambda'
        ),
    )


@dataclass(frozen=True)
class KeptTemplate(Template):
    """A template that makes each project once."""

    kept: dict[str, Path] = field(default_factory=dict)

    def made(self, commit: str, answers: Mapping[str, str]) -> Path:
        key = commit + json.dumps(dict(answers))
        if key not in self.kept:
            self.kept[key] = super().made(commit, answers)
        return self.kept[key]
