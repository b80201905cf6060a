"""What must hold of a table: the words of a contract, whoever reads, writes or checks it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Type = Literal["integer", "number", "boolean", "date", "datetime", "text"]
# What happens to rows that break a rule: the run stops; the rows are set aside below
# data/quarantine/ with the reason; they stay and are told of.
Policy = Literal["stop", "set_aside", "warn"]


@dataclass(frozen=True)
class ColumnRule:
    """What must hold of each value of a column."""

    type: Type
    nullable: bool = True
    minimum: float | str | None = None  # of numbers, or of dates as ISO text
    maximum: float | str | None = None
    values: list[str] | None = None  # the only ones allowed, as text
    unique: bool = False
    policy: Policy | None = None  # None: that of the contract
    # How the value is written where the table is text.
    format: str | None = None  # of dates, as strftime writes it
    decimal: str = "."
    true: list[str] = field(default_factory=list)  # words of a boolean
    false: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class RowRule:
    """An SQL expression over the columns that must not be false for any row."""

    name: str
    sql: str
    policy: Policy | None = None


@dataclass(frozen=True)
class Freshness:
    """The newest value of ``column`` must be at most ``days`` old when the table is read."""

    column: str
    days: float


@dataclass(frozen=True)
class Contract:
    """What must hold of a table. ``columns`` are all of them, in their order."""

    table: str
    columns: dict[str, ColumnRule]
    policy: Policy = "stop"
    fewest_rows: int = 1
    most_rows: int | None = None
    unique: list[list[str]] = field(default_factory=list)  # columns that together name a row
    freshness: Freshness | None = None
    rules: list[RowRule] = field(default_factory=list)
