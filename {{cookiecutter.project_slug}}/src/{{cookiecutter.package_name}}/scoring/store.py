"""A folder of scores: a Parquet file for each partition, all of one model and configuration.

Each file says in itself what it was made of, so what is there and still holds is not made again,
and a killed run goes on at its partition. ``scores.json`` is written when all are there: a folder
without it is not finished.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..data.etl.refresh import locked
from ..errors import UserError
from ..runs.files import WRITING, atomic_path, sha256, write_atomic
from ..runs.manifest import to_json

SUMMARY = "scores.json"
_MADE_OF = "scores of"
_GROUP = 122_880  # rows of a group in a file


@dataclass(frozen=True)
class Filled:
    """A finished folder.

    Attributes:
        inputs: the files that were read, with their rows.
        summary: what stands in ``scores.json``.
        predicted: predictions made now, none for partitions that were there.
        notes: what was decided about rows, for a person.
    """

    inputs: dict[Path, int]
    summary: dict[str, Any]
    predicted: int
    notes: list[str]


class Store:
    """The partitions in ``folder``; ``key`` names the model and all that is common to them."""

    def __init__(self, folder: Path, key: str) -> None:
        self.folder, self.key = folder, key

    @contextmanager
    def opened(self, versions: Mapping[str, str]) -> Iterator[list[str]]:
        """Work on the folder alone; the partitions that are still to be made.

        ``versions`` says of each partition what it is made of, besides the key. Files of other
        partitions, models or configurations are removed before anything is written.

        Raises:
            UserError: there are files in the folder that are no scores.
        """
        with locked(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            there = {path: made_of(path) for path in sorted(self.folder.glob("*.parquet"))}
            if strangers := [path.name for path, made in there.items() if made is None]:
                raise UserError(
                    f"{self.folder}: {strangers[0]} there is no file of scores. "
                    "Give a folder for scores alone: scoring.output=FOLDER."
                )
            wanted = {self.path(name): self.made_of(name, each) for name, each in versions.items()}
            stale = [path for path, made in there.items() if wanted.get(path) != made]
            left = [path for path in self.folder.glob(f"{WRITING}*") if path.is_file()]
            missing = [name for name in versions if there.get(self.path(name)) is None]
            missing += [name for name in versions if self.path(name) in stale]
            if missing or stale:
                (self.folder / SUMMARY).unlink(missing_ok=True)
            for path in (*stale, *left):
                path.unlink(missing_ok=True)
            yield [name for name in versions if name in missing]

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.parquet"

    def made_of(self, name: str, version: str) -> str:
        return f"{self.key} {name} {version}"

    def finish(self, versions: Mapping[str, str], facts: Mapping[str, Any]) -> dict[str, Any]:
        """Write down that all is there, and say what: rows and SHA-256 of each file."""
        files = {}
        for name in versions:
            path = self.path(name)
            files[path.name] = {"rows": pq.read_metadata(path).num_rows, "sha256": sha256(path)}
        summary = {"key": self.key, **facts, "files": files}
        write_atomic(self.folder / SUMMARY, to_json(summary))
        return summary


@contextmanager
def writing(path: Path, made_of: str, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    """A file of a partition, whole or not at all."""
    with (
        atomic_path(path) as temporary,
        pq.ParquetWriter(
            temporary, schema, compression="zstd", compression_level=1, store_schema=False
        ) as writer,
    ):
        writer.add_key_value_metadata({_MADE_OF: made_of})
        yield writer


def write(path: Path, made_of: str, table: pa.Table) -> None:
    """The same for a table that is in memory."""
    with writing(path, made_of, table.schema) as writer:
        writer.write_table(table, row_group_size=_GROUP)


def made_of(path: Path) -> str | None:
    """What a file of scores was made of; None for any other file, or half of one."""
    try:
        found = (pq.read_metadata(path).metadata or {}).get(_MADE_OF.encode())
    except (OSError, pa.ArrowException):
        return None
    return found.decode() if found is not None else None
