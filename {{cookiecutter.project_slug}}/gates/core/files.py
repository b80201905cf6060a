"""The files that gates look at, each read and parsed once: notebooks and modules."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from .programs import Program
from .rules import Rule

NB300 = Rule(
    "NB300",
    "the file is not a notebook that can be read",
    "every other gate, papermill and Jupyter stop at it",
    "Take the last good version from git, or make it again from its .py: `python -m gates pairs "
    "--from py FILE`; "
    "a notebook of an older format: `jupyter nbconvert --to notebook --inplace FILE`",
    bad='{"cells": [   <- the file ends here, after a save that was cut off',
    good='{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}',
    always=True,
)
RULES = (NB300,)

SKIPPED = {"__pycache__", "node_modules", "site-packages", "runs", "build", "dist"}


class Unreadable(Exception):
    """The file is no notebook of format 4; the message says what is wrong."""


@dataclass(frozen=True)
class Cell:
    """A cell of a notebook; ``number`` counts from 1, ``source`` is its text."""

    number: int
    kind: str  # code, markdown or raw
    source: str
    tags: tuple[str, ...]
    raw: dict[str, Any]


class Notebook:
    """An ``.ipynb`` file of format 4.

    Raises:
        Unreadable: the file is not one.
    """

    def __init__(self, path: Path, text: str | None = None) -> None:
        self.path = path
        self.text = read_text(path) if text is None else text
        self.raw = parse(self.text)

    @cached_property
    def cells(self) -> list[Cell]:
        return [
            Cell(number, cell["cell_type"], source(cell), tuple(tags(cell)), cell)
            for number, cell in enumerate(self.raw["cells"], start=1)
        ]

    @property
    def code(self) -> list[Cell]:
        return [cell for cell in self.cells if cell.kind == "code"]

    @property
    def is_python(self) -> bool:
        return language(self.raw) == "python"

    @cached_property
    def program(self) -> Program | None:
        """The code of all cells in order, as one; None where it is not Python."""
        if not self.is_python:
            return None
        return Program((cell.number, cell.source) for cell in self.code)


class Module:
    """A ``.py`` file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text = read_text(path).removeprefix("\ufeff")

    @cached_property
    def program(self) -> Program:
        return Program([(None, self.text)])


File = Notebook | Module


def load(path: Path) -> File:
    return Notebook(path) if path.suffix == ".ipynb" else Module(path)


def find(names: Sequence[str | Path]) -> list[Path]:
    """The notebooks and modules meant by ``names``: files or folders.

    A script stands for the notebook it is paired with, whether that exists or not.
    """
    found: set[Path] = set()
    for path in map(Path, names):
        for file in _walk(path) if path.is_dir() else [path]:
            if file.suffix == ".ipynb":
                found.add(file)
            elif file.suffix == ".py":
                found.add(file.with_suffix(".ipynb") if is_script(file) else file)
    return sorted(found)


def _walk(folder: Path) -> Iterator[Path]:
    """The files below a folder that are in git or could be, else all but hidden ones."""
    listed = subprocess.run(
        ["git", "-C", str(folder), "ls-files", "-z", "-co", "--exclude-standard"],
        capture_output=True,
        check=False,
    )
    if listed.returncode == 0 and listed.stdout:
        names = {folder / name for name in os.fsdecode(listed.stdout).split("\0") if name}
        yield from (path for path in names if path.is_file())
        return
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name[0] != "." and name not in SKIPPED]
        yield from (path for name in files if (path := Path(parent, name)).is_file())


def is_script(path: Path) -> bool:
    """Whether a ``.py`` is one half of a pair, and not a module that is called like a notebook."""
    beside = path.with_suffix(".ipynb").is_file()
    try:
        text = path.read_bytes()
    except OSError:
        return beside
    declared = re.search(rb"^# +format_name: percent", text[:2000], re.M)
    return bool(declared or (beside and re.search(rb"^# %%", text, re.M)))


def read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise Unreadable(f"{path.name} is not text in UTF-8 ({error})") from error
    except OSError as error:
        raise Unreadable(f"{path.name} cannot be read ({error.strerror})") from error


def parse(text: str) -> dict[str, Any]:
    if not text.strip():
        raise Unreadable("it is empty")
    try:
        notebook = json.loads(text)
        if re.search(r"\\u[dD][89a-fA-F]", text):
            json.dumps(notebook, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise Unreadable("it holds half a character, which no text file can hold") from error
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"it is not valid JSON ({error})") from error
    if not isinstance(notebook, dict) or "nbformat" not in notebook:
        raise Unreadable("it is JSON, but no notebook")
    if notebook["nbformat"] != 4:
        raise Unreadable(f"it is a notebook of format {notebook['nbformat']!r}, not 4")
    _check_form(notebook)
    return notebook


def _check_form(notebook: dict[str, Any]) -> None:
    """Refuse what no reader of notebooks can work with, so that no gate need expect it."""
    metadata = notebook.get("metadata", {})
    if not isinstance(metadata, dict):
        raise Unreadable("its metadata are not names with values")
    for key in ("kernelspec", "language_info"):
        if not isinstance(metadata.get(key, {}), dict):
            raise Unreadable(f"its metadata '{key}' are not names with values")
    if not isinstance(notebook.get("cells"), list):
        raise Unreadable("it has no list of cells")
    for number, cell in enumerate(notebook["cells"], start=1):
        if not (isinstance(cell, dict) and {"cell_type", "metadata", "source"} <= set(cell)):
            raise Unreadable(f"cell {number} lacks its type, metadata or source")
        if not (isinstance(cell["cell_type"], str) and isinstance(cell["metadata"], dict)):
            raise Unreadable(f"the type or the metadata of cell {number} are malformed")
        if not _is_text(cell["source"]):
            raise Unreadable(f"the source of cell {number} is not text")
        outputs = cell.get("outputs", [])
        if not (isinstance(outputs, list) and all(isinstance(one, dict) for one in outputs)):
            raise Unreadable(f"the outputs of cell {number} are malformed")


def _is_text(value: object) -> bool:
    if isinstance(value, list):
        return all(isinstance(line, str) for line in value)
    return isinstance(value, str)


def language(notebook: dict[str, Any]) -> str:
    """The language of the code, in lower case; python where the notebook does not say."""
    metadata = notebook.get("metadata", {})
    name = metadata.get("kernelspec", {}).get("language")
    name = name or metadata.get("language_info", {}).get("name") or "python"
    return {"ipython": "python"}.get(str(name).lower(), str(name).lower())


def source(cell: dict[str, Any]) -> str:
    """The text of a cell, which a file holds as one string or as lines."""
    return "".join(cell["source"])


def tags(cell: dict[str, Any]) -> list[str]:
    value = cell["metadata"].get("tags", [])
    return [tag for tag in value if isinstance(tag, str)] if isinstance(value, list) else []


def write(path: Path, text: str) -> bool:
    """Write ``text`` whole or not at all; False when the file holds it already."""
    if path.is_file() and path.read_bytes() == text.encode():
        return False
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(text.encode())
    temporary.replace(path)
    return True
