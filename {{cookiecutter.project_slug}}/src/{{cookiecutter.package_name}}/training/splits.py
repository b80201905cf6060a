"""Which rows a model learns from, which choose it, and which judge it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..config import SplitConfig
from ..data.examples import Examples
from ..errors import UserError
from .seeds import stream

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """Row numbers, rising; no row is in two of them."""

    train: Rows
    valid: Rows
    test: Rows
    how: str

    def parts(self) -> dict[str, Rows]:
        return {"train": self.train, "valid": self.valid, "test": self.test}


def split(examples: Examples, config: SplitConfig, seed: int) -> Split:
    """Split by time where rows have one, by group where they have that, else stratified or random.

    Raises:
        UserError: the kind needs a column that is not there, or a part would be empty.
    """
    schema, frame = examples.schema, examples.frame
    kind = config.kind
    if kind == "auto":
        kind = "time" if schema.time else "group" if schema.group else "stratified"
    if kind == "stratified" and schema.task == "regression":
        kind = "random"
    random = stream(seed, "split")
    if kind == "time":
        column = frame[_needed(schema.time, "time")]
        part, how = _by_time(column, config)
    elif kind == "group":
        codes = pd.factorize(frame[_needed(schema.group, "group")], sort=True)[0]
        part = _shares(int(codes.max()) + 1, config, random)[codes]
        how = f"by group, seed {seed}"
    elif kind == "stratified":
        target = frame[schema.target].to_numpy()
        part = np.zeros(len(frame), dtype=np.int64)
        for value in np.unique(target):
            rows = np.flatnonzero(target == value)
            part[rows] = _shares(len(rows), config, random)
        how = f"stratified by {schema.target}, seed {seed}"
    else:
        part = _shares(len(frame), config, random)
        how = f"random, seed {seed}"
    parts = [np.flatnonzero(part == number) for number in range(3)]
    for name, found in zip(("train", "valid", "test"), parts, strict=True):
        targets = frame[schema.target].to_numpy()[found]
        if len(np.unique(targets)) < 2:
            what = "no rows" if len(found) == 0 else f"one value of {schema.target} only"
            raise UserError(
                f"the {name} part of the split ({how}) has {what}: {len(frame)} rows are too few, "
                "or training.split.valid and training.split.test leave too little."
            )
    return Split(parts[0], parts[1], parts[2], how)


def _needed(column: str | None, kind: str) -> str:
    if column is None:
        raise UserError(
            f"training.split.kind={kind}: the data has no {kind} column; give data.{kind}=COLUMN."
        )
    return column


def _by_time(column: pd.Series, config: SplitConfig) -> tuple[NDArray[np.int64], str]:
    """Shares of the time span: what is held back is later than all that is learnt from."""
    first, last = float(column.min()), float(column.max())
    # Whole days: for days 0 to 27 and shares of a quarter, validation starts on 14, test on 21.
    span = last - first + 1
    test = first + round(span * (1 - config.test))
    valid = first + round(span * (1 - config.test - config.valid))
    times = column.to_numpy(dtype=np.float64)
    part = np.searchsorted([valid, test], times, side="right").astype(np.int64)
    return part, f"by time: train before {valid:g}, test from {test:g}"


def _shares(count: int, config: SplitConfig, random: np.random.Generator) -> NDArray[np.int64]:
    """0, 1 or 2 (train, valid, test) for each of ``count`` things, in the stated shares."""
    test, valid = round(count * config.test), round(count * config.valid)
    part = np.zeros(count, dtype=np.int64)
    order = random.permutation(count)
    part[order[:test]] = 2
    part[order[test : test + valid]] = 1
    return part
