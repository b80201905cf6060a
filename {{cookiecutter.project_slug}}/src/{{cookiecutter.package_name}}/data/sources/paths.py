"""Where ``data.path`` leads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from ...config import PROJECT_ROOT
from ...errors import UserError, nearest

PARQUET = (".parquet", ".pq")
TEXT = (".csv", ".tsv", ".txt", ".tab", ".psv", ".dat")


def locate(path: str, key: str = "data.path") -> Path:
    """A file or folder: as given, or below the project if it is not seen from here.

    Raises:
        UserError: it is not there; with a hint for a misspelt name.
    """
    given = Path(path).expanduser()
    for candidate in (given, PROJECT_ROOT / given):
        if candidate.exists():
            return candidate.resolve()
    folder = next(
        (f for f in (given.parent, PROJECT_ROOT / given.parent) if f.is_dir()), PROJECT_ROOT
    )
    hint = nearest(given.name, (p.name for p in folder.iterdir()))
    raise UserError(f"{key}={path}: there is no such file, seen from {Path.cwd()}.{hint}")


def files_of(folder: Path) -> tuple[list[Path], bool, list[str]]:
    """The files of a table that is a folder, in order; whether they are text; what was left out.

    What begins with a dot or an underscore is none of them: that is how writers mark their own.

    Raises:
        UserError: there are none, or both kinds.
    """
    parquet: list[Path] = []
    text: list[Path] = []
    others = []
    for path in sorted(_visible(folder), key=lambda path: path.relative_to(folder).as_posix()):
        suffixes = [suffix.lower() for suffix in path.suffixes]
        kind = suffixes[-2:-1] if suffixes[-1:] == [".gz"] else suffixes[-1:]
        if kind and kind[0] in PARQUET:
            parquet.append(path)
        elif kind and kind[0] in TEXT:
            text.append(path)
        else:
            others.append(path.relative_to(folder).as_posix())
    if parquet and text:
        raise UserError(
            f"{folder}: holds both Parquet ({parquet[0].name}) and text ({text[0].name}). "
            "A table is one of them: give the folder or file that is meant."
        )
    if not parquet and not text:
        there = f" It holds {', '.join(others[:5])}." if others else ""
        raise UserError(f"{folder}: no table in this folder, neither .csv nor .parquet.{there}")
    notes = [f"left out, neither text nor Parquet: {', '.join(others[:10])}"] if others else []
    return parquet or text, bool(text), notes


def _visible(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        inner = path.relative_to(folder).parts
        if path.is_file() and not any(part.startswith((".", "_")) for part in inner):
            yield path


def partition_columns(path: Path, folder: Path) -> dict[str, str | None]:
    """Columns that the names of folders hold, as Hive writes them: ``year=2026/month=01/x.csv``."""
    found: dict[str, str | None] = {}
    for part in path.relative_to(folder).parts[:-1]:
        name, sign, value = part.partition("=")
        if sign and name:
            value = unquote(value)
            found[unquote(name)] = None if value == "__HIVE_DEFAULT_PARTITION__" else value
    return found


def exactly(path: Path) -> str:
    """``path`` where DuckDB takes a pattern: only this file is meant."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in str(path))
