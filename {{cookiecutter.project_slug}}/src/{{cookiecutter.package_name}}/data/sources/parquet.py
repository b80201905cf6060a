"""Tables in Parquet: a file, or a folder of files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import UserError
from ...runs.files import sha256
from ..contracts.sql import literal, quoted
from .base import Part, code_version, digest, unique_names
from .files import Files
from .paths import exactly, partition_columns

if TYPE_CHECKING:
    import duckdb

_INDEX = "__index_level_0__"  # what pandas makes of the index of a frame


class ParquetSource(Files):
    """Files of Parquet."""

    text = False

    def __init__(
        self, label: str, paths: Sequence[Path], folder: Path | None, notes: Sequence[str] = ()
    ) -> None:
        super().__init__(label, paths, folder)
        self.notes = list(notes)

    def parts(self) -> list[Part]:
        code = code_version(Path(__file__).parent)
        return [Part(name, digest(sha256(path), code)) for name, path in self._paths.items()]

    def open(self, con: duckdb.DuckDBPyConnection, part: Part, view: str) -> None:
        import duckdb

        path = self._paths[part.name]
        rows = f"read_parquet({literal(exactly(path))}, hive_partitioning = false)"
        try:
            described = con.execute(f"DESCRIBE SELECT * FROM {rows}").fetchall()
        except duckdb.Error as error:
            raise UserError(
                f"{path}: not a readable table: no whole Parquet file "
                f"({str(error).splitlines()[0]}). Write it again."
            ) from error
        names = [name for name, *_ in described if name != _INDEX]
        called, notes = unique_names(names, path.name)
        self.notes += [note for note in notes if note not in self.notes]
        chosen = [f"{quoted(a)} AS {quoted(b)}" for a, b in zip(names, called, strict=True)]
        own = {name.lower() for name in called}
        if self._folder:
            for name, value in partition_columns(path, self._folder).items():
                if name.lower() not in own:
                    text = "NULL" if value is None else literal(value)
                    chosen.append(f"{text}::VARCHAR AS {quoted(name)}")
        if not chosen:
            raise UserError(f"{path}: the table has no columns.")
        con.execute(
            f"CREATE OR REPLACE TEMP VIEW {quoted(view)} AS SELECT {', '.join(chosen)} FROM {rows}"
        )
