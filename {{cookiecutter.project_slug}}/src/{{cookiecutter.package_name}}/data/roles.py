"""What each column of a table is used for, and what kind of prediction its target asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..config import TableConfig
from ..errors import UserError
from .examples import Task
from .profile import FEW, ColumnProfile, Profile

Role = Literal[
    "target",
    "numeric",
    "boolean",
    "category",
    "date",
    "id",
    "constant",
    "empty",
    "duplicate",
    "text",
    "excluded",
]
MOST_CATEGORIES = 10_000  # of a column; more are names of things, and cost more than they tell
LEARNABLE: tuple[Role, ...] = ("numeric", "boolean", "category", "date")
SET_ASIDE: tuple[Role, ...] = ("id", "constant", "empty", "duplicate", "text", "excluded")
MAX_CLASSES = 50
ALMOST_EMPTY = 0.95  # share missing above which a column says too little


@dataclass(frozen=True)
class Column:
    """One column and the role inferred for it, with the reason."""

    name: str
    role: Role
    why: str


def roles(profile: Profile, config: TableConfig) -> list[Column]:
    """The role of every column: as ``config`` says, else as what the column holds suggests."""
    found: list[Column] = []
    kept: set[str] = set()
    for column in profile.columns:
        role, why = _role(column, config)
        twin = profile.duplicates.get(column.name)
        if role in LEARNABLE and twin in kept and column.name not in config.keep:
            role, why = "duplicate", f"says the same as {twin}"
        if role in LEARNABLE:
            kept.add(column.name)
            # Where the first of several is not learnt from, the next one takes its place.
            if twin is not None:
                profile = _renamed(profile, twin, column.name)
        found.append(Column(column.name, role, why))
    return found


def task(target: ColumnProfile, config: TableConfig) -> Task:
    """What there is to predict.

    Raises:
        UserError: the target has one value only, too many classes, or does not fit ``config.task``.
    """
    values, name = target.distinct, config.target
    if values < 2:
        only = target.frequent[0][0] if target.frequent else "nothing"
        raise UserError(
            f"data.target={name}: every row has the same value ({only}). "
            "There is nothing to predict."
        )
    numeric = target.type in ("integer", "number", "date", "datetime")
    if config.task == "auto":
        if values == 2:
            return "binary"
        if target.type in ("date", "datetime") or (numeric and not (target.whole and values <= 10)):
            return "regression"
        if values <= MAX_CLASSES:
            return "multiclass"
        raise UserError(
            f"data.target={name}: {values} different texts, more than {MAX_CLASSES} classes. "
            "Is it an identifier? Choose another target, or group its values."
        )
    if config.task == "regression" and not numeric:
        raise UserError(f"data.task=regression: {name} is not a number.")
    if config.task == "binary" and values != 2:
        raise UserError(f"data.task=binary: {name} has {values} different values.")
    if config.task == "multiclass" and values > MAX_CLASSES:
        raise UserError(f"data.task=multiclass: {name} has {values} values, over {MAX_CLASSES}.")
    return config.task  # type: ignore[return-value]  # its bounds have been checked


def names_rows(column: ColumnProfile) -> bool:
    """Whether a column is an identifier: each row has its own value, and it does not measure."""
    if not column.names_rows:
        return False
    if column.type == "text":
        return True
    return column.type == "integer" and (column.rising or column.name.lower().endswith("id"))


def _role(column: ColumnProfile, config: TableConfig) -> tuple[Role, str]:
    name, values = column.name, column.distinct
    if name == config.target:
        return "target", ""
    if name in config.exclude:
        return "excluded", "as data.exclude says"
    if name in config.id:
        return "id", "as data.id says"
    if name == config.group:
        return "id", "it names the group"
    if values <= 1:
        only = f"always {column.frequent[0][0]}" if column.frequent else "empty"
        return "constant", only
    if column.missing > ALMOST_EMPTY * column.rows and name not in (*config.keep, config.time):
        share = column.missing / column.rows
        return "empty", f"almost empty: {share:.1%} missing"
    if column.type in ("date", "datetime"):
        return "date", "dates"
    if column.type == "boolean":
        return "boolean", "true or false"
    if names_rows(column):
        what = "whole number" if column.type == "integer" else "text"
        return "id", f"a different {what} in every row"
    count = str(values) if column.exact else f"about {float(f'{values:.2g}'):,.0f}"
    if column.type in ("integer", "number"):
        return "numeric", f"{count} different numbers"
    if values > MOST_CATEGORIES:
        return "text", f"{count} different texts, more than {MOST_CATEGORIES:,}"
    if values > FEW and values > column.filled / 2:
        return "text", f"free text, {count} different values in {column.filled} rows"
    return "category", f"{count} categories"


def _renamed(profile: Profile, old: str, new: str) -> Profile:
    same = {
        column: new if first == old and column != new else first
        for column, first in profile.duplicates.items()
    }
    return Profile(profile.rows, profile.columns, same)
