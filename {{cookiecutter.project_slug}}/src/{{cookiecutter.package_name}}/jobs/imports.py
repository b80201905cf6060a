"""What a notebook imports, read from its text: which modules of the package, and which libraries.

Nothing is executed. Of a module that computes what it imports, all modules beside it are taken.
"""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..runs import sha256, write_atomic

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT.name


@dataclass(frozen=True)
class Imports:
    """Files of the package that a text reaches, directly or through others, and the libraries."""

    files: frozenset[Path]
    libraries: frozenset[str]


class ImportReader:
    """Reads imports; what a file imports is remembered in ``memory`` under the file's content."""

    def __init__(self, memory: Path) -> None:
        self.memory = memory
        self._known: dict[str, list[str]] = {}
        with suppress(OSError, ValueError):
            self._known = json.loads(memory.read_bytes())
        self._learnt = False
        # As it all was when it was first asked for.
        self._digests: dict[Path, str] = {}
        self._places: dict[str, set[Path]] = {}
        self._imported: dict[Path, list[str]] = {}

    def of_cells(self, sources: Iterable[str]) -> Imports:
        """What a notebook with these code cells imports."""
        names = [name for source in sources for name in _names(source, "")]
        files: set[Path] = set()
        libraries: set[str] = set()
        while names:
            name = names.pop()
            if name.partition(".")[0] != PACKAGE:
                libraries.add(name)
                continue
            if name not in self._places:
                self._places[name] = _files(name)
            for file in self._places[name] - files:
                files.add(file)
                names += self._of_file(file)
        return Imports(frozenset(files), frozenset(libraries))

    def digest(self, file: Path) -> str:
        """The SHA-256 of ``file`` as it was when it was first asked for."""
        if file not in self._digests:
            self._digests[file] = sha256(file)
        return self._digests[file]

    def save(self) -> None:
        """Keep what was read for the next time; where nothing can be written, it is read again."""
        if self._learnt:
            with suppress(OSError):
                write_atomic(self.memory, json.dumps(self._known))

    def _of_file(self, file: Path) -> list[str]:
        if file not in self._imported:
            self._imported[file] = self._read(file)
        return self._imported[file]

    def _read(self, file: Path) -> list[str]:
        package = ".".join([PACKAGE, *file.parent.relative_to(ROOT).parts])
        key = f"{package} {self.digest(file)}"
        if key not in self._known:
            text = file.read_text(encoding="utf-8")
            self._known[key] = list(dict.fromkeys(_names(text, package)))
            self._learnt = True
        return self._known[key]


def _names(source: str, package: str) -> Iterator[str]:
    """The full names that ``source``, in a module of ``package``, imports from outside the
    standard library. What a ``from`` takes out of our package may itself be a module."""
    # A line of IPython's own, such as %matplotlib, is no Python.
    lines = ["" if line.lstrip()[:1] in ("%", "!", "?") else line for line in source.splitlines()]
    try:
        tree = ast.parse("\n".join(lines))
    except (SyntaxError, ValueError):
        return  # it fails when it runs, and says so there
    for node in ast.walk(tree):
        found: list[str] = []
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")
            above = above[: len(above) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            ours = base.partition(".")[0] == PACKAGE
            found = [base, *[f"{base}.{alias.name}" for alias in node.names if ours]]
        elif isinstance(node, ast.Call) and package:
            name = ast.unparse(node.func).split(".")[-1]
            found = [f"{package}.*"] if name in ("import_module", "__import__") else []
        yield from (n for n in found if n.partition(".")[0] not in sys.stdlib_module_names)


def _files(name: str) -> set[Path]:
    """The files that Python reads to import the module ``name`` of the package."""
    found = {ROOT / "__init__.py"}
    folder = ROOT
    for part in name.split(".")[1:]:
        if part == "*":
            found |= set(folder.glob("*.py"))
        folder = folder / part
        found |= {folder.with_suffix(".py"), folder / "__init__.py"}
    return {file for file in found if file.is_file()}
