"""Tables that are text: a file, or a folder of files, read by DuckDB with every column as text."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ...config import ReadConfig
from ...runs.files import WRITING, leftovers, make_folder, sha256
from ..contracts.sql import literal, quoted
from .base import MISSING, Part, code_version, digest
from .dialect import Dialect, find_dialect
from .files import Files
from .paths import exactly, partition_columns
from .survey import Survey, copy_plain, survey

if TYPE_CHECKING:
    import duckdb


class TextSource(Files):
    """Files of delimited text."""

    text = True

    def __init__(
        self,
        label: str,
        paths: Sequence[Path],
        folder: Path | None,
        read: ReadConfig,
        scratch: Callable[[], Path],
        notes: Sequence[str] = (),
    ) -> None:
        """``scratch`` says where copies may be made of what DuckDB cannot read as it is."""
        super().__init__(label, paths, folder)
        self._read, self._scratch = read, scratch
        self._known: dict[Path, tuple[Dialect, Survey]] = {}
        self._copies: tempfile.TemporaryDirectory[str] | None = None
        self._given, self.notes = list(notes), list(notes)

    def parts(self) -> list[Part]:
        code = code_version(Path(__file__).parent)
        read = asdict(self._read)
        notes, found = list(self._given), []
        for name, path in self._paths.items():
            dialect, seen = self._found(path)
            notes += [*seen.notes, *dialect.notes]
            found.append(Part(name, digest(sha256(path), self._columns(path), read, code)))
        self.notes = notes
        return found

    def open(self, con: duckdb.DuckDBPyConnection, part: Part, view: str) -> None:
        path = self._paths[part.name]
        dialect, seen = self._found(path)
        plain = path if seen.plain else self._copied(path, seen)
        columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in dialect.names)
        missing = ", ".join(
            literal(word) for word in dict.fromkeys([*MISSING, *self._read.missing])
        )
        options = {
            "auto_detect": "false",
            "columns": "{" + columns + "}",
            "header": str(dialect.header).lower(),
            "skip": str(dialect.skip),
            "delim": literal(dialect.delimiter),
            "quote": literal(dialect.quote),
            "escape": literal(dialect.escape),
            "nullstr": f"[{missing}]",
            "strict_mode": "true",
            "compression": "'gzip'" if seen.gzip and seen.plain else "'none'",
            "hive_partitioning": "false",
        }
        given = ", ".join(f"{key} = {value}" for key, value in options.items())
        more = "".join(
            f", {'NULL' if value is None else literal(value)}::VARCHAR AS {quoted(name)}"
            for name, value in self._columns(path).items()
        )
        con.execute(
            f"CREATE OR REPLACE TEMP VIEW {quoted(view)} AS "
            f"SELECT *{more} FROM read_csv({literal(exactly(plain))}, {given})"
        )

    def close(self) -> None:
        """Remove the copies that were made of files that DuckDB cannot read as they are."""
        if self._copies:
            self._copies.cleanup()
            self._copies = None

    def _found(self, path: Path) -> tuple[Dialect, Survey]:
        if path not in self._known:
            seen = survey(path, self._read.encoding)
            dialect = find_dialect(seen.sample, seen.whole, self._read, path.name)
            self._known[path] = dialect, replace(seen, sample="")
        return self._known[path]

    def _columns(self, path: Path) -> dict[str, str | None]:
        """What the folders say that the file itself does not."""
        if self._folder is None:
            return {}
        own = {name.lower() for name in self._found(path)[0].names}
        found = partition_columns(path, self._folder)
        return {name: value for name, value in found.items() if name.lower() not in own}

    def _copied(self, path: Path, seen: Survey) -> Path:
        """A copy that DuckDB reads, until the source is closed."""
        if self._copies is None:
            folder = self._scratch()
            make_folder(folder)
            for left in leftovers(folder):  # of processes that were killed
                shutil.rmtree(left, ignore_errors=True)
            self._copies = tempfile.TemporaryDirectory(prefix=WRITING, dir=folder)
        to = Path(self._copies.name) / f"{digest(str(path))[:16]}.csv"
        if not to.exists():
            try:
                copy_plain(path, seen, to)
            except BaseException:
                to.unlink(missing_ok=True)
                raise
        return to
