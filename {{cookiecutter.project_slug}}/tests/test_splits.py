"""Splits: disjoint, complete, seeded, and nothing from tomorrow in training."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from {{cookiecutter.package_name}}.config import SplitConfig
from {{cookiecutter.package_name}}.data.examples import Examples, Schema
from {{cookiecutter.package_name}}.errors import UserError
from {{cookiecutter.package_name}}.training.splits import split


def make(rows: int = 400, **schema: str) -> Examples:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "x": random.random(rows),
            "y": (np.arange(rows) % 10 == 0).astype(int),
            "day": np.arange(rows) // (rows // 20),
            "who": random.integers(0, 40, rows),
        }
    )
    kinds = Schema("binary", "y", {"x": "numeric"}, ["0", "1"], **schema)
    return Examples(frame, kinds, {}, {})


@pytest.mark.parametrize("kind", ["time", "group", "stratified", "random"])
def test_every_row_is_in_one_part(kind: str) -> None:
    parts = split(make(time="day", group="who"), SplitConfig(kind=kind), 42).parts()
    rows = np.sort(np.concatenate(list(parts.values())))
    assert (rows == np.arange(400)).all()


def test_time_puts_the_future_last() -> None:
    examples = make(time="day")
    found = split(examples, SplitConfig(), 42)
    day = examples.frame.day
    assert day[found.train].max() < day[found.valid].min()
    assert day[found.valid].max() < day[found.test].min()
    assert sorted(day[found.test].unique()) == [15, 16, 17, 18, 19]


def test_a_group_stays_on_one_side() -> None:
    examples = make(group="who")
    found = split(examples, SplitConfig(), 42)
    sides = [set(examples.frame.who[rows]) for rows in found.parts().values()]
    assert not (sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])


def test_stratified_keeps_the_shares() -> None:
    examples = make()
    for rows in split(examples, SplitConfig(), 42).parts().values():
        assert examples.frame.y[rows].mean() == pytest.approx(0.1, abs=0.01)


def test_the_seed_decides() -> None:
    one, same, other = (split(make(), SplitConfig(), seed).test for seed in (1, 1, 2))
    assert (one == same).all()
    assert not np.array_equal(one, other)


@pytest.mark.parametrize(
    ("examples", "kind", "message"),
    [
        (make(), "time", "data.time=COLUMN"),
        (make(), "group", "data.group=COLUMN"),
        (make(rows=20), "stratified", "too few"),
    ],
)
def test_what_cannot_be_split_is_refused(examples: Examples, kind: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        split(examples, SplitConfig(kind=kind), 42)
