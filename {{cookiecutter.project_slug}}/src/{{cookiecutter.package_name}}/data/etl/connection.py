"""DuckDB, bounded in memory and the same in every place."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...runs.files import WRITING, make_folder

if TYPE_CHECKING:
    import duckdb

MEMORY = "800MB"  # of DuckDB's buffers; what does not fit goes to the disk
_THREADS = 8  # more take memory each, and wait for the disk
_ROWS = 122_880  # of a group of rows in a file, of which some are in memory
_CELLS = 2_500_000  # of such a group


@contextmanager
def temporary_folder(folder: Path) -> Iterator[Path]:
    """A folder within ``folder`` for the length of the block."""
    make_folder(folder)
    path = Path(tempfile.mkdtemp(prefix=WRITING, dir=folder))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def connect(folder: Path, memory: str = MEMORY) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory that spills below ``folder``, for the length of the block.

    Rows keep the order of their file, moments are those of UTC, and no extension is fetched.
    """
    import duckdb

    with temporary_folder(folder) as spill:
        settings = {
            "memory_limit": memory,
            "temp_directory": str(spill),
            "threads": min(os.cpu_count() or 1, _THREADS),
            "preserve_insertion_order": True,
            "autoinstall_known_extensions": False,
        }
        with duckdb.connect(config=settings) as con:
            con.execute("SET TimeZone = 'UTC'")
            yield con


@contextmanager
def connects(folder: Path) -> Iterator[Callable[[], duckdb.DuckDBPyConnection]]:
    """The same, connected when it is first asked for, as most often there is nothing to do."""
    with ExitStack() as stack:
        known: list[duckdb.DuckDBPyConnection] = []

        def connection() -> duckdb.DuckDBPyConnection:
            if not known:
                known.append(stack.enter_context(connect(folder)))
            return known[0]

        yield connection


def copy(con: duckdb.DuckDBPyConnection, query: str, path: Path) -> int:
    """Write the rows of ``query`` to ``path`` as Parquet, in their order, and count them.

    The same rows give the same bytes: DuckDB's own writer cuts groups of rows where its threads
    happen to meet.

    Raises:
        duckdb.Error: the rows cannot be read.
    """
    relation = con.sql(query)
    with _in_order(con, relation):
        return _write(relation, path)


@contextmanager
def _in_order(con: duckdb.DuckDBPyConnection, relation: duckdb.DuckDBPyRelation) -> Iterator[None]:
    """One thread for a plan with a join, which a long IN is too: there several lose the order."""
    if "JOIN" not in relation.explain().upper():
        yield
        return
    threads = con.sql("SELECT current_setting('threads')").fetchall()[0][0]
    con.execute("SET threads = 1")
    try:
        yield
    finally:
        con.execute(f"SET threads = {threads}")


def _write(relation: duckdb.DuckDBPyRelation, path: Path) -> int:
    """What :func:`copy` does with the rows as they come."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    size = max(1_024, min(_ROWS, _CELLS // len(relation.columns)))
    reader = relation.to_arrow_reader(size)
    held, count = [], 0
    with pq.ParquetWriter(path, reader.schema, compression="zstd", compression_level=1) as writer:
        while True:
            batch = _next(reader)
            if batch is not None:
                held.append(batch)
            while (waiting := sum(each.num_rows for each in held)) >= size or batch is None:
                rows = pa.Table.from_batches(held, reader.schema).combine_chunks()
                if rows.num_rows:
                    writer.write_table(rows.slice(0, size), row_group_size=size)
                    count += min(size, waiting)
                held = rows.slice(size).to_batches()
                if not held:
                    break
            if batch is None:
                return count


def _next(reader: Any) -> Any:
    """The next rows, or None; errors of DuckDB as such, not as what Arrow makes of them."""
    import duckdb
    import pyarrow as pa

    try:
        return reader.read_next_batch()
    except StopIteration:
        return None
    except (pa.ArrowException, OSError) as error:
        memory = "Out of Memory" in str(error)
        kind = duckdb.OutOfMemoryException if memory else duckdb.InvalidInputException
        raise kind(str(error)) from error
