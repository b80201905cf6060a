"""What a model card says, as plain values; nothing here knows how it is written down.

Mitchell and others, "Model cards for model reporting", 2019: the sections are theirs, with the
explanation of the model and how to reproduce it added, and what was found before what it was found
on.
"""

from __future__ import annotations

from dataclasses import dataclass

# Names, texts and values below are plain text as they are in the data, however odd: whoever writes
# the card escapes them. Only `Card.intended_use` is Markdown, written by a person.
Facts = dict[str, str]


@dataclass(frozen=True)
class Table:
    """Cells as text; ``numbers`` are the columns whose digits stand below digits."""

    columns: list[str]
    rows: list[list[str]]
    numbers: frozenset[int] = frozenset()
    note: str = ""


@dataclass(frozen=True)
class Picture:
    """A file below the folder of the card, and what it shows."""

    file: str
    shows: str


@dataclass(frozen=True)
class Reproduction:
    """``replay`` does it and compares the outputs; ``commands`` do it by hand."""

    replay: list[str]
    commands: list[str]
    facts: Facts


@dataclass(frozen=True)
class Card:
    """A model card. A table without rows and an empty list are left out where they are written."""

    title: str
    made: str
    summary: list[str]
    model: Facts
    intended_use: str
    use: Facts
    features: Table
    slices: Table
    scores: Table
    others: Table
    metrics: list[str]  # what the numbers are and how the intervals are made
    curves: list[Picture]
    thresholds: Table
    importance: Table
    ranked: list[Picture]
    dependence: list[Picture]
    errors: Table
    data: Facts
    notes: list[str]
    contract: Table
    parts: Table
    limits: list[str]
    reproduce: Reproduction
    environment: Facts


EMPTY = Table([], [])
