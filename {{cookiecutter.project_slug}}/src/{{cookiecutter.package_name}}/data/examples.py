"""Labelled rows and what is known about their columns: the one shape that training understands."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..config import EngineConfig
from ..errors import UserError
from ..progress import track
from .contracts.contract import Contract
from .hashing import draw

Task = Literal["binary", "multiclass", "regression"]
Kind = Literal["numeric", "categorical"]


@dataclass(frozen=True)
class Schema:
    """What the columns of :class:`Examples` mean."""

    task: Task
    target: str
    features: dict[str, Kind]  # in the order in which a model sees them
    classes: list[str] = field(default_factory=list)  # of code 0, 1, …; empty for a regression
    key: list[str] = field(default_factory=list)  # identifies a row, and orders the rows
    time: str | None = None  # a number that grows with time, for a split by time
    group: str | None = None  # rows of one group stay on one side of a split
    recurring: bool = False  # whether the same groups are met again when the model is used
    ranking: str | None = None  # rows of one value are ranked against each other
    position: str | None = None  # place in its list at which a row was shown, from 0

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Stored:
    """Rows in Parquet files, of which the frame of their :class:`Examples` is a sample of whole
    groups. They have the columns of that frame, and its order."""

    files: list[Path]
    rows: int  # of all files
    engine: EngineConfig = field(default_factory=EngineConfig)  # what may be used to read them
    ranks: int = 1  # processes of the engine that learn together


@dataclass(frozen=True)
class Examples:
    """Rows in the order of ``schema.key``, their meaning, and where they came from.

    ``frame`` holds the features, the target (class codes, or numbers for a regression) and the key.
    """

    frame: pd.DataFrame
    schema: Schema
    inputs: dict[Path, int]  # files read, with their rows
    meaning: dict[str, str]  # of each feature, for a person
    notes: list[str] = field(
        default_factory=list
    )  # what was decided about columns and rows, and why
    derived: bool = False  # whether the files can be made again from the configuration alone
    contract: Contract | None = None  # what holds of the rows they were made from
    span: tuple[datetime.date, datetime.date] | None = None  # days of the oldest and newest row
    stored: Stored | None = None  # all rows to learn from, where they are more than ``frame``

    def __len__(self) -> int:
        return len(self.frame)


def read(
    files: Sequence[Path],
    what: str,
    columns: list[str] | None = None,
    words: Sequence[str] = (),
    size: int = 65_536,
) -> Iterator[Any]:
    """The rows of Parquet files in order, as Arrow record batches of at most ``size`` rows.

    Args:
        what: names the reading to whoever waits.
        words: the columns of text to have as dictionaries, so that nothing is done for each row.

    Raises:
        UserError: a file is not there, or not whole; names it.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    for file in track(files, what):
        try:
            with pq.ParquetFile(file, read_dictionary=list(words)) as opened:
                yield from opened.iter_batches(size, columns=columns)
        except (OSError, pa.ArrowException) as error:
            raise UserError(
                f"{file}: cannot be read ({error}). Delete it, and it is made again."
            ) from error


def drawn(ids: NDArray[np.integer], seed: int, share: float) -> NDArray[np.bool_]:
    """Which ``ids`` (of users, say) are in the sample of ``share`` of all; a larger sample has all
    that a smaller one has."""
    if share >= 1:
        return np.ones(len(ids), dtype=bool)
    return np.asarray(draw(seed, "sample", ids) < np.uint64(int(share * 2**64)))
