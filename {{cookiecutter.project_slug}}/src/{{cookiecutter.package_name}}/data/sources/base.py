"""What a source of rows is: parts that can be named, compared and opened one by one."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import duckdb

# Texts that mean "missing" in a table that is text, besides those of data.read.missing.
MISSING = ("", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None", "?", "NAN", "-nan")


@dataclass(frozen=True)
class Part:
    """A partition of a source: a file, or a table.

    Attributes:
        name: safe as the name of a file; the same part has the same name in every run.
        version: changes whenever its rows, or the way in which they are read, change.
    """

    name: str
    version: str


class Source(Protocol):
    """Where rows come from. A new one needs these five methods and attributes: docs/etl.md.

    Attributes:
        label: what messages call it: the path, or the database and the table.
        text: whether every column is text, as in CSV; otherwise columns have types.
    """

    label: str
    text: bool

    def parts(self) -> list[Part]:
        """The partitions that are there now, in the order of their rows."""
        ...

    def open(self, con: duckdb.DuckDBPyConnection, part: Part, view: str) -> None:
        """Make (or replace) the temporary view or table ``view``: columns and rows in their order.

        Raises:
            UserError: the part cannot be read; says which, where and how to mend it.
        """
        ...

    def inputs(self) -> dict[Path, int | None]:
        """The files that are read, for the manifest of a run; rows where they are known."""
        ...


def notes_of(source: Source) -> list[str]:
    """What a source has decided about how it is read; a source need not have any."""
    return list(getattr(source, "notes", []))


def label_of(source: Source, part: Part) -> str:
    """What messages call ``part``; a source of several files names the file (``label_of``)."""
    own = getattr(source, "label_of", None)
    return str(own(part)) if own else source.label


def digest(*content: Any) -> str:
    """A SHA-256 of plain values, the same in every process."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@cache
def code_version(*files: Path) -> str:
    """A hash of the code in ``files``, or folders: what it makes is made anew after a change."""
    found = [
        path for file in files for path in ([file] if file.is_file() else sorted(file.glob("*.py")))
    ]
    return digest([hashlib.sha256(path.read_bytes()).hexdigest() for path in found])


def file_name(text: str) -> str:
    """``text`` as the name of a file; two texts never share one."""
    safe = re.sub(r"[^A-Za-z0-9._-]+", "_", text).strip("._-")[:60]
    return safe if safe == text else f"{safe or 'part'}-{digest(text)[:8]}"


def unique_names(
    names: Iterable[str], where: str, reserved: Iterable[str] = ("#unread", "#text", "#reasons")
) -> tuple[list[str], list[str]]:
    """Names that SQL tells apart, and a note for each that had to change.

    Spaces around a name go, an empty name becomes ``column3``, a name that is there already (in
    any case of letters) gets a number.
    """
    taken, found, notes = {name.lower() for name in reserved}, [], []
    for number, given in enumerate(names, 1):
        name = plain = given.strip() or f"column{number}"
        count = 2
        while name.lower() in taken:
            name, count = f"{plain}_{count}", count + 1
        taken.add(name.lower())
        found.append(name)
        if name != given:
            notes.append(f"{where}: column {number} {given!r} is called {name} here")
    return found, notes
