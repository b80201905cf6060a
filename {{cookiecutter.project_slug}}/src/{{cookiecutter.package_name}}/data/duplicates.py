"""Columns that say the same as an earlier one, under the same names for things or under others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from .contracts.sql import quoted
from .profile import ColumnProfile, Profile

if TYPE_CHECKING:
    import duckdb

_SAMPLE = 5_000
_FEWEST_ROWS = 20  # under which two columns may agree by chance
_REPEATS = 5  # values met this often on average may be renamed; rarer ones must be equal


def duplicates(con: duckdb.DuckDBPyConnection, view: str, profile: Profile) -> dict[str, str]:
    """Column -> the first column that says the same in every row.

    Where values repeat, they may have other names (``S`` and ``Southampton``); columns whose
    values hardly repeat must be equal: any two of them match one to one.
    """
    able = [column for column in profile.columns if column.distinct > 1]
    if profile.rows < _FEWEST_ROWS or len(able) < 2:
        return {}
    pairs = _alike(con, view, able, profile.rows)
    same: dict[str, str] = {}
    for start in range(0, len(pairs), 20):
        batch = pairs[start : start + 20]
        tests = ", ".join(_test(profile[first], profile[second]) for first, second in batch)
        row = con.execute(f"SELECT {tests} FROM {quoted(view)}").fetchone()
        assert row is not None
        same.update(
            {second: first for (first, second), true in zip(batch, row, strict=True) if true}
        )
    return same


def _repeats(column: ColumnProfile) -> bool:
    return column.distinct * _REPEATS <= column.filled


def _alike(
    con: duckdb.DuckDBPyConnection, view: str, columns: list[ColumnProfile], rows: int
) -> list[tuple[str, str]]:
    """Pairs, each of a column and the first one that agrees with it in a sample of rows."""
    step = max(1, rows // _SAMPLE)
    names = [column.name for column in columns]
    which = ", ".join(quoted(name) for name in names)
    sample = con.execute(
        f'SELECT {which} FROM (SELECT *, row_number() OVER () AS "#number" FROM {quoted(view)}) '
        f'WHERE "#number" % {step} = 0'
    ).fetchnumpy()
    first: dict[tuple[object, ...], str] = {}
    pairs = []
    for column in columns:
        values = pd.Series(np.ma.filled(sample[column.name].astype(object), None), dtype=object)
        if _repeats(column):  # equal up to names: numbered in the order of their first rows
            content = pd.factorize(values)[0].astype(np.int32).tobytes()
        else:
            content = repr(values.tolist()).encode()
        key = (_repeats(column), column.missing, hash(content), content)
        if key in first:
            pairs.append((first[key], column.name))
        else:
            first[key] = column.name
    return pairs


def _test(first: ColumnProfile, second: ColumnProfile) -> str:
    one, other = quoted(first.name), quoted(second.name)
    if not _repeats(first):
        texts = (f"CAST({each} AS VARCHAR)" for each in (one, other))
        return f"coalesce(bool_and({' IS NOT DISTINCT FROM '.join(texts)}), false)"
    both, left, right = (
        f"count(DISTINCT hash({each}))" for each in (f"{one}, {other}", one, other)
    )
    return f"{both} = {left} AND {left} = {right}"
