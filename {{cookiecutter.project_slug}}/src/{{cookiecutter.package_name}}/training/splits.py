"""Which rows a model learns from, which choose it, and which judge it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..config import SplitConfig
from ..data.examples import Examples, Schema
from ..errors import UserError
from .duplicates import ALONE, Duplicates, Integers, find_duplicates, tied
from .guard import guard
from .seeds import stream

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """Row numbers, rising; no row is in two of them."""

    train: Rows
    valid: Rows
    test: Rows
    how: str
    before: float | None = None  # for a split by time, what train rows come before

    def parts(self) -> dict[str, Rows]:
        return {"train": self.train, "valid": self.valid, "test": self.test}


def split(examples: Examples, config: SplitConfig, seed: int) -> Split:
    """Split by time where rows have one, by group where they have that, else stratified or random.

    Stratified with a group that does not recur, both hold: groups stay whole, and each part gets
    about its share of each class. Near-duplicate rows stay together unless the split is by time.

    Raises:
        UserError: the kind needs a column that is not there, a part would be empty, or
            :func:`.guard.guard` objects.
    """
    schema, frame = examples.schema, examples.frame
    kind = kind_of(schema, config)
    random = stream(seed, "split")
    duplicates = before = None
    if kind == "time":
        part, before, how = _by_time(frame[needed(schema.time, "time")], config)
    else:
        groups = group_codes(examples, kind)
        duplicates = duplicates_of(examples, config, groups)
        if kind == "stratified" and (groups is not None or duplicates.rows):
            units = units_of(len(frame), groups, duplicates)
            classes = frame[schema.target].to_numpy(dtype=np.int64)
            held = (config.valid, config.test)
            part = deal(units, classes, (1 - sum(held), *held), random)
        elif kind == "stratified":
            part = np.zeros(len(frame), dtype=np.int64)
            target = frame[schema.target].to_numpy()
            for value in np.unique(target):
                rows = np.flatnonzero(target == value)
                part[rows] = _shares(len(rows), config, random)
        else:
            units = units_of(len(frame), groups, duplicates)
            part = _shares(int(units.max()) + 1, config, random)[units]
        how = f"{describe(schema, kind)}, seed {seed}"
        how = ", ".join(filter(None, [how, str(duplicates)]))
    parts = [np.flatnonzero(part == number) for number in range(3)]
    found = Split(parts[0], parts[1], parts[2], how, before)
    check_parts(examples, found)
    guard(examples, found, replace(config, kind=kind), duplicates)
    return found


def kind_of(schema: Schema, config: SplitConfig) -> str:
    """``time``, ``group``, ``stratified`` or ``random``: what ``config`` means for such rows."""
    kind = config.kind
    if kind == "auto":
        by_group = schema.group is not None and not schema.recurring
        kind = "time" if schema.time else "group" if by_group else "stratified"
    return "random" if kind == "stratified" and schema.task == "regression" else kind


def group_codes(examples: Examples, kind: str) -> Integers | None:
    """The number of each row's group, from 0, or of its ranking list where a split of ``kind`` may
    part groups: a list is ranked as a whole. None where there is neither.

    A row whose group is missing is a group of its own.
    """
    schema = examples.schema
    by = schema.ranking
    if kind == "group" or (kind == "stratified" and schema.group and not schema.recurring):
        by = needed(schema.group, "group")
    if by is None:
        return None
    codes = pd.factorize(examples.frame[by], sort=True)[0]
    codes = codes.astype(np.int64)
    missing = np.flatnonzero(codes < 0)
    codes[missing] = codes.max(initial=-1) + 1 + np.arange(len(missing))
    return np.asarray(codes)


def duplicates_of(
    examples: Examples, config: SplitConfig, groups: Integers | None, rows: Rows | None = None
) -> Duplicates:
    """The near-duplicates among ``rows`` that are to stay together."""
    if config.duplicates == "apart":
        return Duplicates(np.full(len(examples), ALONE))
    if groups is not None and rows is not None:
        groups = np.asarray(pd.factorize(groups[rows])[0], dtype=np.int64)
    return find_duplicates(examples.frame, examples.schema, rows, groups)


def units_of(count: int, groups: Integers | None, duplicates: Duplicates) -> Integers:
    """For each of ``count`` rows the number of what stays together with it, from 0."""
    return tied(np.arange(count) if groups is None else groups, duplicates.lump)


def describe(schema: Schema, kind: str) -> str:
    """The kind of a split, for a person."""
    if kind == "stratified":
        whole = schema.group if schema.group and not schema.recurring else schema.ranking
        within = f" with each {whole.removeprefix('#')} whole" if whole else ""
        return f"stratified by {schema.target}{within}"
    return "by group" if kind == "group" else kind


def check_parts(examples: Examples, found: Split) -> None:
    """Raises:
    UserError: a part has no rows, or rows of one class only.
    """
    schema = examples.schema
    target = examples.frame[schema.target].to_numpy()
    for name, rows in found.parts().items():
        values = target[rows]
        if len(values) == 0 or (values == values[0]).all():
            what = "no rows" if len(rows) == 0 else f"one value of {schema.target} only"
            raise UserError(
                f"the {name} part of the split ({found.how}) has {what}: {len(examples)} rows are "
                "too few, or training.split.valid and training.split.test leave too little."
            )


def deal(
    units: Integers, classes: Integers, shares: Sequence[float], random: np.random.Generator
) -> Integers:
    """A part, from 0, for each row: units stay whole, and each part gets about its share of the
    rows and of each class.

    Units of the same rows by class are alike: of each sort every part gets its share, at random.
    What is left over, of each sort fewer than there are parts, is dealt from the largest on to
    where most is wanting, as in scikit-learn's ``StratifiedGroupKFold``.
    """
    units = np.asarray(pd.factorize(units)[0], dtype=np.int64)
    count, kinds = int(units.max()) + 1, int(classes.max()) + 1
    share = np.array(shares)
    order = np.argsort(units, kind="stable")
    starts = np.searchsorted(units[order], np.arange(count))
    # A sum of random numbers names the rows by class; whole numbers, so in any order.
    names = random.integers(0, 2**63, kinds).astype(np.uint64)
    sort = np.asarray(
        pd.factorize(np.add.reduceat(names[classes[order]], starts))[0], dtype=np.int64
    )
    shuffled = random.permutation(count)
    by_sort = shuffled[np.argsort(sort[shuffled], kind="stable")]
    sizes = np.bincount(sort)
    rank = np.arange(count) - (np.cumsum(sizes) - sizes)[sort[by_sort]]
    part = np.zeros(count, dtype=np.int64)
    whole = np.floor(sizes[:, None] * share + 1e-9).astype(np.int64).cumsum(axis=1)
    for number in range(len(share)):
        part[by_sort] += rank >= whole[sort[by_sort], number]
    left = by_sort[part[by_sort] == len(share)]
    _deal_rest(left, part, units, classes, share)
    return np.asarray(part[units])


def _deal_rest(
    left: Integers, part: Integers, units: Integers, classes: Integers, share: NDArray[np.float64]
) -> None:
    """Set ``part`` of the units ``left``, where it is the number of parts as yet."""
    kinds = int(classes.max()) + 1
    totals = np.bincount(classes, minlength=kinds).astype(np.float64)
    have = np.bincount(part[units] * kinds + classes, minlength=(len(share) + 1) * kinds)
    missing = have.reshape(-1, kinds)[: len(share)] - share[:, None] * totals
    # Each class counts alike, and the rows altogether like one more.
    weights = 1 / np.maximum(totals, 1) ** 2
    place = np.full(len(part), -1)
    place[left] = np.arange(len(left))
    rows = np.flatnonzero(place[units] >= 0)
    cells = place[units[rows]] * kinds + classes[rows]
    counts = np.bincount(cells, minlength=len(left) * kinds).reshape(-1, kinds)
    for number in np.argsort(-counts.sum(axis=1), kind="stable"):
        more = counts[number]
        cost = ((2 * missing + more) * more * weights).sum(axis=1)
        cost += (2 * missing.sum(axis=1) + more.sum()) * more.sum() / len(units) ** 2
        chosen = int(np.argmin(cost / share))
        missing[chosen] += more
        part[left[number]] = chosen


def needed(column: str | None, kind: str) -> str:
    """The column that a split of this kind goes by."""
    if column is None:
        raise UserError(
            f"training.split.kind={kind}: the data has no {kind} column; give data.{kind}=COLUMN."
        )
    return column


def _by_time(column: pd.Series, config: SplitConfig) -> tuple[NDArray[np.int64], float, str]:
    """Shares of the time span: what is held back is later than all that is learnt from, which is
    what comes before the second result.

    The part is -1 for rows that are in none: within the gap, or without a time.
    """
    times = column.to_numpy(dtype=np.float64, na_value=np.nan)
    first, last = float(np.nanmin(times)), float(np.nanmax(times))
    # Whole days: for days 0 to 27 and shares of a quarter, validation starts on 14, test on 21.
    span = last - first + 1
    test = first + round(span * (1 - config.test))
    valid = first + round(span * (1 - config.test - config.valid))
    part = np.searchsorted([valid, test], times, side="right").astype(np.int64)
    how = f"by time: train before {valid:g}, test from {test:g}"
    part[np.isnan(times)] = ALONE
    if untimed := int(np.isnan(times).sum()):
        how += f", {untimed:,} rows without a time left out"
    if config.gap:
        near = ((part == 0) & (times >= valid - config.gap)) | (
            (part == 1) & (times >= test - config.gap)
        )
        part[near] = ALONE
        how += f", {int(near.sum()):,} rows within the gap of {config.gap:g} left out"
    return part, valid - config.gap, how


def _shares(count: int, config: SplitConfig, random: np.random.Generator) -> NDArray[np.int64]:
    """0, 1 or 2 (train, valid, test) for each of ``count`` things, in the stated shares."""
    test, valid = round(count * config.test), round(count * config.valid)
    part = np.zeros(count, dtype=np.int64)
    order = random.permutation(count)
    part[order[:test]] = 2
    part[order[test : test + valid]] = 1
    return part
