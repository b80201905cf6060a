"""Seeded faults as data: what to change in a good repository so that a rule turns red.

The same faults are planted in the small repository of these tests and, by the template's own
tests, in a whole project.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gates.core.gate import Context
from gates.core.settings import Settings
from gates.pairs.pairing import bring_in_step


@dataclass(frozen=True)
class Repository:
    """Where a fault is planted: the root, one of its notebooks, and its package."""

    root: Path
    notebook: Path  # the .ipynb, relative to the root; its .py stands beside it
    package: Path  # src/..., relative to the root

    @property
    def script(self) -> Path:
        return self.notebook.with_suffix(".py")

    def path(self, name: str) -> Path:
        """The path of ``name``, in which {notebook}, {script} and {package} are filled in."""
        names = {"notebook": self.notebook, "script": self.script, "package": self.package}
        return self.root / name.format(**{key: path.as_posix() for key, path in names.items()})

    def sync(self) -> None:
        """Let the notebook follow its script."""
        context = Context(self.root, Settings())
        bring_in_step(self.root / self.notebook, context.stamps, "py")
        context.close()


Change = Callable[[Repository], None]


@dataclass(frozen=True)
class Fault:
    """A mistake that turns ``rule`` red, and the like of it that is right.

    Attributes:
        what: The mistake in a few words, for the table of the documentation.
        also: Other rules that rightly find the same.
        conf: Whether it needs the project's configuration; those of CF always do.
    """

    rule: str
    what: str
    red: Change
    green: Change
    also: frozenset[str] = frozenset()
    conf: bool = False


def nothing(repository: Repository) -> None:
    """The twin of a fault whose absence is all that is right."""


def cell(code: str, options: str = "") -> Change:
    """A code cell before the conclusions, in both halves of the pair."""
    return script(r"(?=# %% \[markdown\]\n# ## Conclusions)", f"# %%{options}\n{code}\n\n")


def script(before: str, after: str) -> Change:
    """Replace the first match of a regular expression in the script; the notebook follows."""

    def change(repository: Repository) -> None:
        _replace(repository.root / repository.script, before, after)
        repository.sync()

    return change


def replace(name: str, before: str, after: str) -> Change:
    """Replace the first match of a regular expression in a file; see ``Repository.path``."""
    return lambda repository: _replace(repository.path(name), before, after)


def _replace(path: Path, before: str, after: str) -> None:
    text = path.read_text(encoding="utf-8")
    changed = re.sub(before, lambda _: after, text, count=1, flags=re.M)
    assert changed != text, f"{path} has no {before}"
    path.write_text(changed, encoding="utf-8")


def file(name: str, content: str | bytes) -> Change:
    """A file, made or written over."""

    def change(repository: Repository) -> None:
        path = repository.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    return change


def module(code: str) -> Change:
    """A module of the package."""
    return file("{package}/planted.py", code.rstrip() + "\n")


def raw(edit: Callable[[dict[str, Any]], None]) -> Change:
    """Change the JSON of the notebook, in the form that Jupyter writes."""

    def change(repository: Repository) -> None:
        path = repository.root / repository.notebook
        content = json.loads(path.read_text(encoding="utf-8"))
        edit(content)
        text = json.dumps(content, ensure_ascii=False, indent=1, sort_keys=True)
        path.write_text(text + "\n", encoding="utf-8")

    return change


def both(*changes: Change) -> Change:
    def change(repository: Repository) -> None:
        for part in changes:
            part(repository)

    return change
