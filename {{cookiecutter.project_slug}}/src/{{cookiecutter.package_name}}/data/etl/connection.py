"""DuckDB, bounded in memory and the same in every place."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ...runs.files import WRITING, make_folder
from ..contracts.sql import text

if TYPE_CHECKING:
    import duckdb

MEMORY = "800MB"  # of DuckDB's buffers; what does not fit goes to the disk
_THREADS = 8  # more take memory each, and wait for the disk


@contextmanager
def connect(folder: Path, memory: str = MEMORY) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory that spills below ``folder``, for the length of the block.

    Rows keep the order of their file, moments are those of UTC, and no extension is fetched.
    """
    import duckdb

    make_folder(folder)
    spill = tempfile.mkdtemp(prefix=WRITING, dir=folder)
    settings = {
        "memory_limit": memory,
        "temp_directory": spill,
        "threads": min(os.cpu_count() or 1, _THREADS),
        "preserve_insertion_order": True,
        "autoinstall_known_extensions": False,
    }
    try:
        with duckdb.connect(config=settings) as con:
            con.execute("SET TimeZone = 'UTC'")
            yield con
    finally:
        shutil.rmtree(spill, ignore_errors=True)


def copy(con: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    """Write the rows of ``query`` to ``path`` as Parquet, in their order."""
    options = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1"
    con.execute(f"COPY ({query}) TO {text(str(path))} ({options})")
