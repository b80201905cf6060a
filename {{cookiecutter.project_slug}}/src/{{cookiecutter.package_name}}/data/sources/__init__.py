"""Where a table comes from: text, Parquet, DuckDB, SQLite or PostgreSQL, behind one protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ...config import TableConfig
from ...errors import UserError
from ..folders import tables_folder
from .base import MISSING, Part, Source, label_of, notes_of
from .paths import PARQUET, files_of, locate
from .reading import reading

__all__ = [
    "MISSING",
    "SUFFIXES",
    "Part",
    "Source",
    "label_of",
    "locate",
    "notes_of",
    "open_source",
    "opened",
    "reading",
]

# Other kinds of files, by how their names end: what makes a source of the path. docs/etl.md.
SUFFIXES: dict[str, Callable[[Path, TableConfig], Source]] = {}


def open_source(config: TableConfig) -> Source:
    """The source that ``config.path`` names; the content decides which, not the suffix.

    Raises:
        UserError: it is missing, empty, no table or no such table within a database; with the fix.
    """
    if config.path.startswith("postgresql:"):
        from .postgres import PostgresSource

        return PostgresSource(config.path, config.table)
    path = locate(config.path)
    if path.is_dir():
        return _folder(path, config)
    if path.suffix.lower() in SUFFIXES:
        return SUFFIXES[path.suffix.lower()](path, config)
    with path.open("rb") as file:
        start = file.read(16)
    if start.startswith(b"SQLite format 3\0"):
        from .databases import SqliteSource

        return SqliteSource(path, config.table)
    if start[8:12] == b"DUCK":
        from .databases import DuckdbSource

        return DuckdbSource(path, config.table)
    if config.table is not None:
        raise UserError(f"data.table={config.table}: {path} is no database. Leave data.table out.")
    if start.startswith(b"PAR1"):
        from .parquet import ParquetSource

        return ParquetSource(str(path), [path], None)
    if path.suffix.lower() in PARQUET:
        empty = "the file is empty" if not start else "not a readable table: no Parquet file"
        raise UserError(f"{path}: {empty}. Write it again.")
    from .text import TextSource

    return TextSource(str(path), [path], None, config.read, tables_folder)


@contextmanager
def opened(config: TableConfig) -> Iterator[tuple[Source, list[Part]]]:
    """The source and its parts, for the length of the block: after it, what it held is given back.

    Raises:
        UserError: as for :func:`open_source`; or it has no part.
    """
    source = open_source(config)
    try:
        with reading(source):
            parts = source.parts()
        if not parts:
            raise UserError(f"{source.label}: the table has no rows.")
        yield source, parts
    finally:
        if close := getattr(source, "close", None):
            close()


def _folder(folder: Path, config: TableConfig) -> Source:
    if config.table is not None:
        raise UserError(f"data.table={config.table}: {folder} is a folder. Leave data.table out.")
    paths, text, notes = files_of(folder)
    if text:
        from .text import TextSource

        return TextSource(str(folder), paths, folder, config.read, tables_folder, notes)
    from .parquet import ParquetSource

    return ParquetSource(str(folder), paths, folder, notes)
