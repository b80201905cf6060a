"""Labelled rows and what is known about their columns: the one shape that training understands."""

from __future__ import annotations

import datetime
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from .contracts.contract import Contract

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

    def __len__(self) -> int:
        return len(self.frame)
