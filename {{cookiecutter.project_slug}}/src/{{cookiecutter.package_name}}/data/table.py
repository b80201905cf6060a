"""Your own table: its rows as a contract lets them through, and what its columns are used for.

Nothing is guessed silently: each decision is a note, and a column that gives the target away stops
the run (:mod:`.leaks`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..config import TableConfig
from ..errors import UserError, nearest
from ..runs.files import write_atomic
from .contracts.contract import Contract
from .contracts.sql import literal, quoted
from .duplicates import duplicates
from .etl.connection import connect
from .examples import Task
from .ingest import Ingested, ingest
from .profile import LARGEST, ColumnProfile, Profile, profile
from .roles import LEARNABLE, SET_ASIDE, Column, Role, roles, task

if TYPE_CHECKING:
    import duckdb

VIEW = "typed"
# What days are counted from: not the first date there is, or other rows would count anew.
EPOCH = pd.Timestamp(1970, 1, 1)
_AT_ONCE = 8  # columns of numbers read together
_READ_AS = {
    "numeric": "numbers",
    "boolean": "true or false",
    "category": "categories",
    "date": "dates",
}


@dataclass(frozen=True)
class Table:
    """A table with typed columns; rows without a target have been set aside.

    ``frame`` holds the columns to learn from, the target, the group and the time: numbers as
    float64, dates as datetime64, text and booleans as categories in order.
    """

    path: Path
    frame: pd.DataFrame
    columns: list[Column]
    task: Task
    rows_read: int
    notes: list[str]
    inputs: dict[Path, int] = field(default_factory=dict)
    contract: Contract | None = None

    def named(self, *roles: Role) -> list[str]:
        return [column.name for column in self.columns if column.role in roles]


def read_table(config: TableConfig) -> Table:
    """Read the table of ``config`` and infer the role of every column and the task.

    Raises:
        UserError: the table is missing, empty or no table, the target is absent or has one value,
            or a column that is named in the configuration does not exist.
    """
    ingested = ingest(config)
    with connected(ingested) as con:
        found = profiled(con, ingested)
        return table_of(con, found, ingested, config)


@contextmanager
def connected(ingested: Ingested) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection on which :data:`VIEW` is the rows that were taken in, in their order."""
    with connect(ingested.folder) as con:
        files = ", ".join(literal(str(file)) for file in ingested.files)
        con.execute(f"CREATE TEMP VIEW {quoted(VIEW)} AS SELECT * FROM read_parquet([{files}])")
        yield con


def profiled(con: duckdb.DuckDBPyConnection, ingested: Ingested) -> Profile:
    """The profile of the typed rows; computed once for the same files, and kept beside them."""
    path = ingested.folder / "profile.json"
    of = [[f.name, f.stat().st_size, f.stat().st_mtime_ns] for f in ingested.files]
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
        if saved["of"] == of:
            return Profile.from_dict(saved["profile"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not there, or of another version: made anew
    found = profile(con, VIEW, text=False, examine=False)
    found = Profile(found.rows, found.columns, duplicates(con, VIEW, found))
    write_atomic(path, json.dumps({"of": of, "profile": found.to_dict()}), synced=False)
    return found


def table_of(
    con: duckdb.DuckDBPyConnection,
    found: Profile,
    ingested: Ingested,
    config: TableConfig,
    where: str = "true",
) -> Table:
    """The table of the typed rows for which ``where`` is true in SQL; see :func:`read_table`."""
    path = Path(config.path)
    check_names(found, config)
    named = list(dict.fromkeys(filter(None, (config.target, config.group, config.time))))
    for name in named:
        if found[name].filled == 0:
            raise UserError(f"{path}: no row has a value of {name}.")
    if config.time and found[config.time].type in ("text", "boolean"):
        raise UserError(f"data.time={config.time}: holds neither dates nor numbers.")
    kind = task(found[config.target], config)
    columns = roles(found, config)
    if not any(column.role in LEARNABLE for column in columns):
        why = "; ".join(f"{c.name}: {c.why}" for c in columns if c.role != "target")
        raise UserError(f"{path}: no column is left to learn from. {why}.")
    learnt = [column.name for column in columns if column.role in LEARNABLE]
    frame = _frame(con, found, ingested.contract, list(dict.fromkeys([*learnt, *named])), where)
    notes = list(ingested.notes)
    notes += [
        f"{name}: {found[name].endless} infinite numbers count as missing"
        for name in dict.fromkeys([*learnt, *named])
        if found[name].endless
    ]
    for name in named:
        missing = frame[name].isna()
        if missing.any():
            notes.append(f"{int(missing.sum())} of {found.rows} rows set aside: no {name}")
            frame = frame[~missing].reset_index(drop=True)
    target = found[config.target]
    if kind == "regression" and target.type in ("date", "datetime"):
        days = (frame[config.target] - EPOCH).dt.total_seconds() / 86_400
        frame = frame.assign(**{config.target: days})
        notes.append(f"{config.target}: dates, predicted as days since {EPOCH:%Y-%m-%d}")
    for role, words in _READ_AS.items():
        if names := [column.name for column in columns if column.role == role]:
            notes.append(f"read as {words}: {', '.join(names)}")
    notes += [f"{c.name}: set aside, {c.why}" for c in columns if c.role in SET_ASIDE]
    return Table(
        path,
        frame,
        columns,
        kind,
        ingested.rows_read,
        notes,
        dict(ingested.inputs),
        ingested.contract,
    )


def check_names(found: Profile, config: TableConfig) -> None:
    """Whether the columns that ``config`` names are there.

    Raises:
        UserError: one is not; names those there are, and the nearest.
    """
    given = [(key, getattr(config, key)) for key in ("target", "group", "time")]
    given += [(key, name) for key in ("id", "exclude", "keep") for name in getattr(config, key)]
    names = found.names
    for key, name in given:
        if name is not None and name not in names:
            shown = ", ".join(names[:30]) + (", …" if len(names) > 30 else "")
            raise UserError(
                f"data.{key}={name}: no such column in {config.path}. "
                f"It has: {shown}.{nearest(name, names)}"
            )


def _frame(
    con: duckdb.DuckDBPyConnection, found: Profile, contract: Contract, names: list[str], where: str
) -> pd.DataFrame:
    """The columns ``names``, a few at a time: the whole table is never here as text."""
    values: dict[str, Any] = {}
    columns = [found[name] for name in names]
    numbers = [c.name for c in columns if c.type in ("integer", "number")]
    for start in range(0, len(numbers), _AT_ONCE):
        batch = numbers[start : start + _AT_ONCE]
        sql = ", ".join(f"{_finite(name)} AS c{place}" for place, name in enumerate(batch))
        read = con.execute(f"SELECT {sql} FROM {quoted(VIEW)} WHERE {where}").fetchnumpy()
        values.update({name: np.asarray(read[f"c{place}"]) for place, name in enumerate(batch)})
    for column in columns:
        if column.name in values:
            continue
        sql, words = quoted(column.name), None
        if column.type in ("date", "datetime"):
            sql = f"CASE WHEN isfinite({sql}) THEN CAST({sql} AS TIMESTAMP) END"
        elif column.type == "boolean":
            rule = contract.columns.get(column.name)
            false, true = (rule.false, rule.true) if rule else ([], [])
            words = [false[0] if false else "False", true[0] if true else "True"]
            sql = f"coalesce(CAST({sql} AS TINYINT), -1)"
        else:
            _enumerate(con, column)
            sql = f"CAST(CAST({sql} AS VARCHAR) AS {quoted(_ENUM)})"
        read = con.execute(f"SELECT {sql} AS c FROM {quoted(VIEW)} WHERE {where}").df()["c"]
        if column.type == "text":
            read = read.cat.as_unordered()
        values[column.name] = _worded(read, words) if words else read
    return pd.DataFrame({name: values[name] for name in names}, copy=False)


_ENUM = "#words"


def _finite(name: str) -> str:
    number = f"CAST({quoted(name)} AS DOUBLE)"
    return f"CASE WHEN abs({number}) <= {LARGEST} THEN {number} ELSE 'nan'::DOUBLE END"


def _enumerate(con: duckdb.DuckDBPyConnection, column: ColumnProfile) -> None:
    """Make the type of the column's texts in order, so that they arrive as categories."""
    text = f"CAST({quoted(column.name)} AS VARCHAR)"
    con.execute(f"DROP TYPE IF EXISTS {quoted(_ENUM)}")
    con.execute(
        f"CREATE TYPE {quoted(_ENUM)} AS ENUM "
        f"(SELECT DISTINCT {text} FROM {quoted(VIEW)} WHERE {text} IS NOT NULL ORDER BY 1)"
    )


def _worded(flags: pd.Series, words: list[str]) -> pd.Series:
    """0, 1 and -1 for missing as the words that the table has for them, false before true."""
    return pd.Series(pd.Categorical.from_codes(flags.to_numpy(), categories=pd.Index(words)))
