"""Rows that are all but equal: where one is learnt from, the other judges nothing.

Rows are near-duplicates when all their features are, after numbers are rounded to about three
significant digits (eleven binary ones). That is evidence only where chance does not make such
pairs: two people of the same sex, class and fare are two people.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..data.examples import Schema

Integers = NDArray[np.int64]
Hashes = NDArray[np.uint64]

ALONE = -1
_DISTINCT = (
    50  # a number with so many values, counted by how often two rows agree, tells rows apart
)
_TIMES = 10  # so many times the pairs that chance makes are no chance
_SAMPLE = 10_000  # rows that tell how often two agree
_SHARE = 0.05  # of the rows: what more rows agree on is common, not repeated
_DIGITS = 42  # of the 52 binary digits of a number, those that are rounded away


@dataclass(frozen=True)
class Duplicates:
    """``lump`` has a number for each row of the table, equal for near-duplicates; :data:`ALONE`
    for a row that is like no other."""

    lump: Integers
    common: int = 0  # near-duplicates left alone: what very many rows agree on is no repetition

    @property
    def rows(self) -> int:
        return int(np.count_nonzero(self.lump != ALONE))

    def __str__(self) -> str:
        """What there is, for :attr:`.splits.Split.how`; empty when there is nothing."""
        words = [f"{self.rows:,} near-duplicate rows stay together"] if self.rows else []
        if self.common:
            words.append(
                f"{self.common:,} would tie too many rows together and fall where they may"
            )
        return ", ".join(words)


def find_duplicates(
    frame: pd.DataFrame,
    schema: Schema,
    rows: Integers | None = None,
    groups: Integers | None = None,
) -> Duplicates:
    """The near-duplicates among ``rows`` (all of them when None); no other row is read.

    ``groups`` are the numbers, from 0, of what stays together anyway. Near-duplicates tie groups to
    each other; ties that would chain more than a fifth of the rows into one lump are cut.
    """
    lump = np.full(len(frame), ALONE, dtype=np.int64)
    rows = np.arange(len(frame)) if rows is None else rows
    chance = _by_chance(frame, schema, rows)
    if chance is None:
        return Duplicates(lump)
    hashes = fingerprints(frame, schema.features, rows)
    if not has_repeats(hashes):
        return Duplicates(lump)
    codes = np.asarray(pd.factorize(hashes)[0], dtype=np.int64)
    sizes = np.bincount(codes)
    common = sizes > max(10.0, _SHARE * len(rows))
    pairs = sizes[~common].astype(np.float64)
    if (pairs * (pairs - 1) / 2).sum() < _TIMES * chance:
        return Duplicates(lump)
    if groups is not None:
        common |= _chained(codes, sizes > 1, groups, max(10, len(rows) // 5))
    repeated = ((sizes > 1) & ~common)[codes]
    lump[rows[repeated]] = codes[repeated]
    return Duplicates(lump, int(sizes[common].sum()))


def fingerprints(
    frame: pd.DataFrame, columns: Iterable[str], rows: Integers, exact: bool = False
) -> Hashes:
    """A hash of 64 bits for each of ``rows``: equal for rows that agree in ``columns``.

    Numbers are rounded unless ``exact``. Column by column, so it holds two columns at once.
    """
    found = np.full(len(rows), 0x9E3779B97F4A7C15, dtype=np.uint64)
    for name in columns:
        found ^= _bits(frame[name], rows, exact)
        found *= np.uint64(0xBF58476D1CE4E5B9)  # odd, so no two values become one
        found ^= found >> np.uint64(32)
    return found


def has_repeats(hashes: Hashes) -> bool:
    """Whether two are equal; several times as fast as finding out which."""
    ordered = np.sort(hashes)
    return bool((ordered[1:] == ordered[:-1]).any())


def tied(groups: Integers, lumps: Integers) -> Integers:
    """For each row the number of its unit: rows of one group, of one lump (not :data:`ALONE`), and
    all that are so tied through others, are one. Units are numbered from 0 in the order of their
    lowest group, so that without lumps they are the groups.
    """
    repeated = np.flatnonzero(lumps != ALONE)
    if len(repeated) == 0:
        return groups
    code = np.asarray(pd.factorize(lumps[repeated])[0], dtype=np.int64)
    of_row = groups[repeated]
    root = np.arange(int(groups.max()) + 1)
    while True:  # each takes over the lowest number it is tied to, until nothing moves
        lowest = np.full(int(code.max()) + 1, len(root))
        np.minimum.at(lowest, code, root[of_row])
        before = root.copy()
        np.minimum.at(root, root[of_row], lowest[code])
        np.minimum.at(root, of_row, lowest[code])
        root = root[root]
        if (root == before).all():
            return np.asarray(np.unique(root, return_inverse=True)[1][groups], dtype=np.int64)


def _by_chance(frame: pd.DataFrame, schema: Schema, rows: Integers) -> float | None:
    """The pairs of rows that would agree in everything if columns had nothing to do with each
    other; None when no column tells rows apart.

    Only the columns of many values are taken to be independent; the others, of which one often
    follows from another, count as the one column of their combinations.
    """
    if len(rows) < 2:
        return None
    sample = rows[np.linspace(0, len(rows) - 1, min(len(rows), _SAMPLE)).astype(np.int64)]
    agree, rest = 1.0, []
    for name, kind in schema.features.items():
        sizes = np.unique(fingerprints(frame, [name], sample), return_counts=True)[1]
        usual = np.argmax(sizes)  # such as zero, or missing
        others = np.delete(sizes, usual)
        if kind == "numeric" and others.sum() > sizes[usual] and _agree(others) <= 1 / _DISTINCT:
            agree *= _agree(sizes)
        else:
            rest.append(name)
    if len(rest) == len(schema.features):
        return None
    if rest:
        agree *= _agree(np.unique(fingerprints(frame, rest, sample), return_counts=True)[1])
    return agree * len(rows) * (len(rows) - 1) / 2


def _agree(sizes: Integers) -> float:
    """How often two rows have the same of the values that so many rows have; never quite never."""
    rows = float(sizes.sum())
    pairs = sizes.astype(np.float64) * (sizes - 1) / 2
    return float(max(pairs.sum(), 1.0) / max(rows * (rows - 1) / 2, 1.0))


def _chained(
    codes: Integers, repeated: NDArray[np.bool_], groups: Integers, most: int
) -> NDArray[np.bool_]:
    """Which lumps tie groups into a unit of more than ``most`` rows that no group alone has."""
    lumps = np.where(repeated[codes], codes, ALONE)
    unit = tied(groups, lumps)
    largest = np.zeros(int(unit.max()) + 1, dtype=np.int64)
    np.maximum.at(largest, unit, np.bincount(groups)[groups])
    sizes = np.bincount(unit)
    chained = (sizes > most) & (sizes > largest)
    found = np.zeros(len(repeated), dtype=bool)
    found[codes[chained[unit] & repeated[codes]]] = True
    return found


def _bits(column: pd.Series, rows: Integers, exact: bool) -> Hashes:
    """64 bits a row, equal for equal values, and for all that are missing."""
    kind = column.dtype.kind if isinstance(column.dtype, np.dtype) else "O"
    if kind in "iub" and exact:
        return column.to_numpy()[rows].astype(np.int64).view(np.uint64)
    if kind in "iubf" or (pd.api.types.is_numeric_dtype(column.dtype)):
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)[rows]
        values += 0.0  # there is a zero with a sign
        if np.isnan(values).any():
            values[np.isnan(values)] = np.nan  # and there are many NaN
        bits = values.view(np.uint64)
        if not exact:
            bits += np.uint64(1 << (_DIGITS - 1))
            bits >>= np.uint64(_DIGITS)
        return bits
    part = column.array if len(rows) == len(column) else column.array.take(rows)
    return np.asarray(pd.util.hash_array(part), dtype=np.uint64)


__all__ = ["ALONE", "Duplicates", "find_duplicates", "fingerprints", "has_repeats", "tied"]
