"""Tables within a file of DuckDB or SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import UserError, nearest
from ...runs.files import sha256
from ..contracts.sql import literal, quoted
from .base import Part, code_version, digest, file_name, unique_names

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

BATCH = 20_000  # rows that are in memory at a time


class DatabaseFile:
    """One table of a database that is a file."""

    text = False

    def __init__(self, path: Path, table: str | None) -> None:
        self._path = path
        self.notes: list[str] = []
        self._table = choose_table(str(path), self._tables(), table, self.notes)
        self.label = f"{path}, table {self._table}"

    def parts(self) -> list[Part]:
        # What has been committed may still be in the log beside the file.
        files = [
            self._path,
            *(self._path.with_name(self._path.name + end) for end in (".wal", "-wal")),
        ]
        content = [sha256(file) for file in files if file.is_file()]
        code = code_version(Path(__file__).parent)
        return [Part(file_name(self._table), digest(content, self._table, code))]

    def inputs(self) -> dict[Path, int | None]:
        return {self._path: None}

    def path(self, part: Part) -> Path:
        return self._path

    def _tables(self) -> list[str]:
        raise NotImplementedError


class DuckdbSource(DatabaseFile):
    """A table or view of a DuckDB file."""

    def open(self, con: duckdb.DuckDBPyConnection, part: Part, view: str) -> None:
        name = f"source {digest(str(self._path))[:8]}"
        _attach(con, self._path, name)
        schema, _, table = self._table.rpartition(".")
        full = ".".join(quoted(each) for each in (name, schema or "main", table))
        names = [each for each, *_ in con.execute(f"DESCRIBE SELECT * FROM {full}").fetchall()]
        chosen, notes = selected(names, self.label)
        self.notes += [note for note in notes if note not in self.notes]
        con.execute(f"CREATE OR REPLACE TEMP VIEW {quoted(view)} AS SELECT {chosen} FROM {full}")

    def _tables(self) -> list[str]:
        import duckdb

        with duckdb.connect() as con:
            _attach(con, self._path, "source")
            rows = con.execute(
                "SELECT schema_name, table_name FROM duckdb_tables() "
                "WHERE database_name = 'source' "
                "UNION ALL SELECT schema_name, view_name FROM duckdb_views() "
                "WHERE database_name = 'source' AND NOT internal ORDER BY ALL"
            ).fetchall()
        return [table if schema == "main" else f"{schema}.{table}" for schema, table in rows]


class SqliteSource(DatabaseFile):
    """A table or view of a SQLite file, streamed through Arrow: no extension has to be fetched."""

    def open(self, con: duckdb.DuckDBPyConnection, part: Part, view: str) -> None:
        with closing(self._connected()) as database:
            try:
                names, types = self._columns(database)
                called, notes = unique_names(names, self.label)
                self.notes += [note for note in notes if note not in self.notes]
                order = _order(database, self._table)
                rows = database.execute(f"SELECT * FROM {quoted(self._table)} {order}")
                store(con, view, arrow_schema(called, types), rows.fetchmany)
            except sqlite3.Error as error:
                raise UserError(f"{self.label}: not a readable table ({error}).") from error

    def _columns(self, database: sqlite3.Connection) -> tuple[list[str], list[str]]:
        """Names, and a type for each: SQLite knows types of values only, so they are counted."""
        table = quoted(self._table)
        names = [row[0] for row in database.execute(f"SELECT * FROM {table} LIMIT 0").description]
        types: list[str] = []
        for start in range(0, len(names), 100):  # a statement has at most 2000 columns
            asked = ", ".join(
                f"max(typeof({c}) = 'integer'), max(typeof({c}) = 'real'), "
                f"max(typeof({c}) IN ('text', 'blob')), "
                f"max(typeof({c}) = 'integer' AND abs({c} / 2) > {2**52})"
                for c in map(quoted, names[start : start + 100])
            )
            found = database.execute(f"SELECT {asked} FROM {table}").fetchone()
            for at in range(0, len(found), 4):
                whole, real, text, large = found[at : at + 4]
                # An integer that a floating number cannot hold stays exact as text.
                mixed = text or (whole and real and large)
                types.append(
                    "text" if mixed else "number" if real else "integer" if whole else "text"
                )
        return names, types

    def _tables(self) -> list[str]:
        with closing(self._connected()) as database:
            try:
                rows = database.execute(
                    "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') "
                    "AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name"
                ).fetchall()
            except sqlite3.Error as error:
                raise UserError(f"{self._path}: not a readable database ({error}).") from error
        return [name for (name,) in rows]

    def _connected(self) -> sqlite3.Connection:
        database = sqlite3.connect(
            f"{self._path.as_uri()}?mode=ro", uri=True, check_same_thread=False
        )
        database.text_factory = lambda raw: raw.decode("utf-8", "replace")
        return database


def choose_table(label: str, known: Sequence[str], table: str | None, notes: list[str]) -> str:
    """The table that is meant: the one named, or the only one there is.

    Raises:
        UserError: there is none, none of this name, or several to choose from.
    """
    if table is not None:
        if table in known:
            return table
        hint = nearest(table, known)
        raise UserError(
            f"data.table={table}: no such table in {label}. It has: {_some(known)}.{hint}"
        )
    if not known:
        raise UserError(f"{label}: no table in this database.")
    if len(known) > 1:
        raise UserError(f"{label}: which table? Give data.table=…, one of: {_some(known)}.")
    notes.append(f"table {known[0]}, the only one")
    return known[0]


def selected(names: Sequence[str], where: str) -> tuple[str, list[str]]:
    """``names`` as the columns of a SELECT, renamed where SQL would mix them up."""
    called, notes = unique_names(names, where)
    pairs = zip(names, called, strict=True)
    return ", ".join(f"{quoted(a)} AS {quoted(b)}" for a, b in pairs), notes


def arrow_schema(names: Sequence[str], types: Sequence[str]) -> pa.Schema:
    import pyarrow as pa

    kinds = {"integer": pa.int64(), "number": pa.float64(), "text": pa.string()}
    return pa.schema([pa.field(n, kinds[t]) for n, t in zip(names, types, strict=True)])


def store(con: duckdb.DuckDBPyConnection, view: str, schema: pa.Schema, fetch: Any) -> None:
    """Make the temporary table ``view`` of the rows that ``fetch(count)`` gives, to the last."""
    import pyarrow as pa

    def batches() -> Iterator[pa.RecordBatch]:
        while rows := fetch(BATCH):
            columns = [
                pa.array([_value(value, field.type) for value in column], field.type)
                for column, field in zip(zip(*rows, strict=True), schema, strict=True)
            ]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)

    reader = pa.RecordBatchReader.from_batches(schema, batches())
    con.register("rows as they come", reader)
    try:
        con.execute(
            f'CREATE OR REPLACE TEMP TABLE {quoted(view)} AS SELECT * FROM "rows as they come"'
        )
    finally:
        con.unregister("rows as they come")


def _value(value: Any, kind: Any) -> Any:
    import pyarrow as pa

    if value is None:
        return None
    if kind == pa.string():
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return float(value) if kind == pa.float64() else value


def _order(database: sqlite3.Connection, table: str) -> str:
    try:
        database.execute(f"SELECT rowid FROM {quoted(table)} LIMIT 0")
    except sqlite3.Error:
        return ""  # a view, or a table kept in the order of its primary key
    return "ORDER BY rowid"


def _attach(con: duckdb.DuckDBPyConnection, path: Path, name: str) -> None:
    import duckdb

    try:
        con.execute(f"ATTACH IF NOT EXISTS {literal(str(path))} AS {quoted(name)} (READ_ONLY)")
    except duckdb.Error as error:
        raise UserError(
            f"{path}: not a readable database ({str(error).splitlines()[0]}). "
            "Close it where it is open for writing."
        ) from error


def _some(names: Sequence[str]) -> str:
    return (", ".join(names[:30]) + (", …" if len(names) > 30 else "")) or "no table"
