"""Features on PostgreSQL: tables of a session, which the server drops when the session ends.

It needs the right to make temporary tables and no other; nothing of ours stays, even after a kill.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq

from ...config import EngineConfig
from ...engines.base import missing
from ...errors import UserError
from .base import Backend, named

SCHEME = "postgresql:"
_TYPES = {pa.int64(): "bigint", pa.float64(): "double precision", pa.string(): "text"}


class PostgresBackend(Backend):
    """Rows come and go by COPY, a batch at a time in, one shard at a time out."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def table(self, name: str, files: list[Path]) -> Any:
        schema = pq.read_schema(files[0])
        columns = ", ".join(f'"{field.name}" {_TYPES[field.type]}' for field in schema)
        self._connection.execute(f'CREATE TEMPORARY TABLE "{name}" ({columns})')
        plain = csv.WriteOptions(include_header=False)
        with self._connection.cursor().copy(f'COPY "{name}" FROM STDIN (FORMAT csv)') as copy:
            for file in files:
                for batch in pq.ParquetFile(file).iter_batches():
                    text = io.BytesIO()
                    csv.write_csv(batch, text, plain)
                    copy.write(text.getbuffer())
        self._connection.execute(f'ANALYZE "{name}"')
        return named(name, schema)

    def store(self, name: str, expression: Any) -> Any:
        self._connection.execute(f'CREATE TEMPORARY TABLE "{name}" AS {_sql(expression)}')
        if "user" in expression.columns:
            self._connection.execute(f'CREATE INDEX ON "{name}" ("user")')
        self._connection.execute(f'ANALYZE "{name}"')
        return ibis.table(expression.schema(), name=name)

    def rows(self, expression: Any) -> pa.Table:
        schema = expression.schema().to_pyarrow()
        with self._connection.cursor().copy(
            f"COPY ({_sql(expression)}) TO STDOUT (FORMAT csv)"
        ) as copy:
            text = b"".join(copy)
        if not text:
            return schema.empty_table()
        return csv.read_csv(
            pa.py_buffer(text),
            csv.ReadOptions(column_names=schema.names),
            convert_options=csv.ConvertOptions(
                column_types=schema,
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )


@contextmanager
def opened(config: EngineConfig, scratch: Path) -> Iterator[PostgresBackend]:
    """A session of the server whose URL is in the environment variable of ``engine.address``.

    Raises:
        UserError: there is no such variable, or no such server; without the URL in it.
    """
    try:
        import psycopg
        from psycopg import sql
    except ImportError as error:
        raise missing("postgres") from error
    variable = (config.address or "").removeprefix(SCHEME)
    if not variable.isidentifier() or not str(config.address).startswith(SCHEME):
        raise UserError(
            f"engine.address: give the name of an environment variable that holds the URL, such as "
            f"{SCHEME}DATABASE_URL: a configuration is kept and shown."
        )
    url = os.environ.get(variable)
    if not url:
        raise UserError(
            f"engine.address={config.address}: the environment variable {variable} is not set. "
            "It holds the URL, such as postgresql://user:password@host/database."
        )
    try:
        connection = psycopg.connect(url, autocommit=True, connect_timeout=20)
    except psycopg.Error:
        # Not `from error`: a message or traceback of the driver may show the password.
        raise UserError(
            f"engine.address={config.address}: PostgreSQL cannot be reached. "
            f"Is {variable} the right URL, and is the server up?"
        ) from None
    with connection:
        for name, setting in config.options.items():
            connection.execute(
                sql.SQL("SET {} = {}").format(sql.Identifier(name), sql.Literal(str(setting)))
            )
        yield PostgresBackend(connection)


def _sql(expression: Any) -> str:
    return str(ibis.to_sql(expression, dialect="postgres"))
