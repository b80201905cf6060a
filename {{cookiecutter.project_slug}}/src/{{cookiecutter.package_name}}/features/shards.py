"""Shards of users: embedded DuckDB within its share of the memory, and files of equal bytes.

Every engine's rows are written by the same function here, so equal rows are equal files.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import ibis
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..data.hashing import draw
from ..runs.files import WRITING, atomic_path, leftovers, make_folder

PYTHON = 300  # MiB that a worker needs beside what DuckDB counts: libraries, and a group of rows
_LEAST = 100  # MiB below which DuckDB finishes nothing
_GROUP = 122_880  # rows of a group in a file, and in memory while it is written
_PIECE = 250_000  # rows of which features are computed at once
_FEW = 1_500_000  # rows of which features are built sooner than workers have started


@dataclass(frozen=True)
class Part:
    """The files of one shard: its users, what they were shown, and where the features go."""

    users: Path
    impressions: Path
    out: Path


@dataclass(frozen=True)
class Limits:
    """What one DuckDB may take: ``memory`` in MiB, threads, and a folder for what does not fit."""

    memory: int
    threads: int
    spill: Path


@contextmanager
def connected(limits: Limits) -> Iterator[Any]:
    """An Ibis backend of DuckDB in memory, within ``limits``, for the length of the block."""
    backend = ibis.duckdb.connect(
        threads=limits.threads,
        memory_limit=f"{max(limits.memory, _LEAST)}MiB",
        temp_directory=str(limits.spill),
        # Joins run as they are written: impressions stream past small tables. The optimizer's own
        # order, guessed from too little, made 15 million rows in between of 2 million.
        disabled_optimizers="join_order",
    )
    with suppress(duckdb.InvalidInputException):  # a notebook without widgets, which has no bar
        backend.con.execute("SET enable_progress_bar = false")  # whoever waits sees shards go by
    try:
        yield backend
    finally:
        backend.disconnect()


@contextmanager
def spill_folder(folder: Path) -> Iterator[Path]:
    """A folder beside the output for what does not fit into memory; gone when the block ends."""
    make_folder(folder)
    for left in leftovers(folder):  # of builds that were killed
        shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix=WRITING, dir=folder) as name:
        yield Path(name)


def rows_of(backend: Any, table: Any) -> pa.RecordBatchReader:
    """The rows of an expression on DuckDB as they come, with the types that it declares."""
    schema = table.schema().to_pyarrow()
    batches = _batches(backend, ibis.to_sql(table, dialect="duckdb"), schema)
    return pa.RecordBatchReader.from_batches(schema, batches)


def rows_by_piece(
    backend: Any, table: Any, users: pa.Table, shown: Any, rows: int
) -> pa.RecordBatchReader:
    """The rows, about ``rows`` of them, of an expression of the tables ``users`` and
    ``impressions`` on DuckDB, for some users after the other: users do not know each other, so
    only the rows of a few have to be in memory at a time, and one statement serves all."""
    schema = table.schema().to_pyarrow()
    statement = ibis.to_sql(table, dialect="duckdb")
    pieces = -(-rows // _PIECE)
    each = max(1, -(-len(users) // max(1, pieces)))

    def batches() -> Iterator[pa.RecordBatch]:
        for first in range(0, len(users), each):
            piece = users.slice(first, each)
            low, high = piece["user"][0].as_py(), piece["user"][-1].as_py()
            backend.con.register("piece", piece)
            backend.con.execute("DELETE FROM users; INSERT INTO users FROM piece")
            backend.create_view(
                "impressions", shown.filter(shown.user.between(low, high)), overwrite=True
            )
            yield from _batches(backend, statement, schema)

    return pa.RecordBatchReader.from_batches(schema, batches())


def _batches(backend: Any, statement: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for batch in backend.con.sql(statement).to_arrow_reader(_GROUP):
        columns = [
            column.cast(field.type) for column, field in zip(batch.columns, schema, strict=True)
        ]
        yield pa.RecordBatch.from_arrays(columns, schema=schema)


def write_rows(path: Path, rows: pa.RecordBatchReader) -> None:
    """Write ``rows`` to a Parquet file, whole or not at all.

    The bytes depend on nothing but the rows: groups are of equal size, however the rows came.
    """
    with (
        atomic_path(path) as temporary,
        pq.ParquetWriter(
            temporary, rows.schema, compression="zstd", compression_level=1, store_schema=False
        ) as writer,
    ):
        for group in _groups(rows, rows.schema):
            writer.write_table(group, row_group_size=_GROUP)


def sampled(users: Path, seed: int, share: float) -> pa.Table:
    """The users of a file, or the part of them that belongs to a sample of ``share``.

    Who belongs to it is drawn for each user, so a smaller share is a part of a larger one.
    """
    table = pq.read_table(users)
    if share >= 1:
        return table
    drawn = draw(seed, "sample", table["user"].to_numpy())
    return table.filter(pa.array(drawn < np.uint64(int(share * 2**64))))


def few(parts: list[Part]) -> bool:
    """Whether the parts have so few rows that starting workers would take longer."""
    return sum(pq.read_metadata(part.impressions).num_rows for part in parts) < _FEW


def _groups(rows: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    """``rows`` cut anew, to tables of ``_GROUP`` rows and a last one with the rest."""
    waiting: list[pa.RecordBatch] = []
    count = 0
    for batch in rows:
        while count + batch.num_rows >= _GROUP:
            cut = _GROUP - count
            yield pa.Table.from_batches([*waiting, batch.slice(0, cut)], schema).combine_chunks()
            waiting, count, batch = [], 0, batch.slice(cut)
        waiting.append(batch)
        count += batch.num_rows
    if count:
        yield pa.Table.from_batches(waiting, schema).combine_chunks()
