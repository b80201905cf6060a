"""A table in PostgreSQL, streamed by a server-side cursor from one snapshot of the database."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from ...errors import UserError
from ..contracts.sql import quoted
from .base import Part, code_version, digest, file_name, unique_names
from .databases import BATCH, choose_table, store

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

SCHEME = "postgresql:"
_SETTINGS = "SET datestyle = 'ISO, YMD'; SET timezone = 'UTC'; SET extra_float_digits = 1"


class PostgresSource:
    """The table of a database whose URL is in an environment variable, so that no file holds it."""

    text = False

    def __init__(self, path: str, table: str | None) -> None:
        self._variable = path.removeprefix(SCHEME).strip()
        if "/" in self._variable or "@" in self._variable:
            raise UserError(
                f"data.path={SCHEME}…: give the name of an environment variable that holds "
                f"the URL, such as {SCHEME}DATABASE_URL: a configuration is kept and shown."
            )
        self._url = os.environ.get(self._variable, "")
        if not self._url:
            raise UserError(
                f"data.path={path}: the environment variable {self._variable} is not set. "
                "It holds the URL, such as postgresql://user:password@host/database."
            )
        self._connection: Any = None
        self.notes: list[str] = []
        with self._told(path):
            self._table = choose_table(path, self._tables(), table, self.notes)
        self.label = f"{path}, table {self._table}"

    def parts(self) -> list[Part]:
        """One part. Its version is a sum of hashes of all rows, computed by the server."""
        with self._told(self.label):
            columns = self._columns()
            query = (
                "SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)::text "
                f"FROM {self._name} AS t"
            )
            count, content = self._connected().execute(query).fetchone()
        code = code_version(Path(__file__).parent)
        return [Part(file_name(self._table), digest(count, content, columns, code))]

    def open(self, con: duckdb.DuckDBPyConnection, part: Part, view: str) -> None:
        import pyarrow as pa

        with self._told(self.label):
            columns = self._columns()
            if not columns:
                raise UserError(f"{self.label}: the table has no columns.")
            names, notes = unique_names([name for name, *_ in columns], self.label)
            self.notes += [note for note in notes if note not in self.notes]
            kinds = [_arrow(kind, precision, scale) for _, kind, precision, scale in columns]
            schema = pa.schema(list(zip(names, kinds, strict=True)))
            chosen = ", ".join(
                f"{quoted(name)}{_as(kind, arrow)}"
                for (name, kind, *_), arrow in zip(columns, kinds, strict=True)
            )
            with self._connected().cursor("rows") as cursor:
                cursor.itersize = BATCH
                cursor.execute(
                    f"SELECT {chosen} FROM {self._name} AS t ORDER BY {self._order(columns)}"
                )
                store(con, view, schema, cursor.fetchmany)

    def inputs(self) -> dict[Path, int | None]:
        return {}

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @property
    def _name(self) -> str:
        return ".".join(quoted(part) for part in self._table.split(".", 1))

    def _tables(self) -> list[str]:
        rows = self._connected().execute(
            "SELECT table_schema, table_name FROM information_schema.tables "
            "WHERE table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2"
        )
        return [
            name if schema == "public" else f"{schema}.{name}" for schema, name in rows.fetchall()
        ]

    def _columns(self) -> list[tuple[str, str, int | None, int | None]]:
        schema, _, table = self._table.rpartition(".")
        rows = self._connected().execute(
            "SELECT column_name, udt_name, numeric_precision, numeric_scale "
            "FROM information_schema.columns WHERE table_schema = %s AND table_name = %s "
            "ORDER BY ordinal_position",
            [schema or "public", table],
        )
        return [tuple(row) for row in rows.fetchall()]

    def _order(self, columns: list[tuple[str, str, int | None, int | None]]) -> str:
        """By the primary key, or else by all a row holds: no other order is its own."""
        schema, _, table = self._table.rpartition(".")
        keys = self._connected().execute(
            "SELECT k.column_name FROM information_schema.table_constraints c "
            "JOIN information_schema.key_column_usage k "
            "USING (constraint_name, table_schema, table_name) "
            "WHERE c.constraint_type = 'PRIMARY KEY' AND c.table_schema = %s AND c.table_name = %s "
            "ORDER BY k.ordinal_position",
            [schema or "public", table],
        )
        named = [quoted(name) for (name,) in keys.fetchall()]
        return ", ".join(named) or 't::text COLLATE "C"'

    def _connected(self) -> Any:
        """One transaction for all questions: what is hashed is what is read."""
        if self._connection is None:
            try:
                import psycopg
            except ImportError as error:
                raise UserError(
                    "reading PostgreSQL needs psycopg, which is not installed: "
                    'add "postgres" to default-groups in pyproject.toml, then make setup'
                ) from error
            self._connection = psycopg.connect(self._url, connect_timeout=20)
            self._connection.execute(_SETTINGS)
            self._connection.commit()
            self._connection.read_only = True
            self._connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        return self._connection

    @contextmanager
    def _told(self, label: str) -> Iterator[None]:
        """Errors of the server in words of ours, without the URL or its password."""
        try:
            yield
        except UserError:
            raise
        except Exception as error:
            if type(error).__module__.split(".")[0] != "psycopg":
                raise
            reason = self._discreet(
                str(error).strip().splitlines()[0] if str(error) else "no answer"
            )
            # Not `from error`: a traceback would show what the message leaves out.
            raise UserError(
                f"{label}: cannot be read from PostgreSQL ({reason}). "
                f"Is {self._variable} the right URL, and is the server up?"
            ) from None

    def _discreet(self, text: str) -> str:
        secrets = [self._url]
        try:
            password = urlsplit(self._url).password
        except ValueError:
            password = None
        if password:
            secrets += [password, unquote(password)]
        else:  # no URL that can be taken apart, such as "host=… password=…": no word of it
            secrets += [word.rpartition("=")[2] for word in self._url.split()]
            secrets += self._url.replace("@", ":").split(":")
        for secret in sorted(filter(None, secrets), key=len, reverse=True):
            text = text.replace(secret, "***")
        return text


def _as(kind: str, arrow: pa.DataType) -> str:
    import pyarrow as pa

    if kind == "timestamptz":
        return " AT TIME ZONE 'UTC'"
    return {pa.string(): "::text", pa.float64(): "::float8"}.get(arrow, "")


def _arrow(kind: str, precision: int | None, scale: int | None) -> pa.DataType:
    import pyarrow as pa

    known = {
        "int2": pa.int64(),
        "int4": pa.int64(),
        "int8": pa.int64(),
        "float4": pa.float64(),
        "float8": pa.float64(),
        "bool": pa.bool_(),
        "date": pa.date32(),
        "timestamp": pa.timestamp("us"),
        "timestamptz": pa.timestamp("us"),  # in UTC
    }
    if kind == "numeric":
        exact = precision is not None and precision <= 38 and 0 <= (scale or 0) <= precision
        return pa.decimal128(precision, scale or 0) if exact else pa.float64()
    return known.get(kind, pa.string())
