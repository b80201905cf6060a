"""The guard: whatever made a split, a side that gives another away is named."""

from __future__ import annotations

import itertools
import time
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from {{cookiecutter.package_name}}.config import SplitConfig
from {{cookiecutter.package_name}}.data.examples import Examples, Schema
from {{cookiecutter.package_name}}.errors import UserError
from {{cookiecutter.package_name}}.training.guard import guard
from {{cookiecutter.package_name}}.training.splits import Split, split

RANDOM = SplitConfig(kind="random")
APART = SplitConfig(kind="random", duplicates="apart")


def table(frame: pd.DataFrame, features: str = "x", **schema: Any) -> Examples:
    kinds: Any = dict.fromkeys(features, "numeric")
    return Examples(frame, Schema("binary", "y", kinds, ["0", "1"], **schema), {}, {})


def parts(part: Any) -> Split:
    rows = [np.flatnonzero(np.asarray(part) == number) for number in range(3)]
    return Split(*rows, "made by hand")


def customers(overlap: float, seed: int = 0, rows: int = 600, **schema: Any) -> Examples:
    """A shop in which a share ``overlap`` of the customers come again, all but unchanged."""
    random = np.random.default_rng(seed)
    who = np.arange(rows)
    again = random.random(rows) < overlap
    who[again] = random.integers(0, rows, again.sum())
    traits = random.normal(50, 10, (rows, 3))[who] * (1 + random.uniform(0, 1e-9, (rows, 3)))
    frame = pd.DataFrame(traits, columns=list("abc"))
    frame["who"], frame["y"] = who, random.integers(0, 2, rows)
    return table(frame, "abc", **schema)


def test_a_planted_overlap_of_customers_is_named_with_where_and_how_to_mend_it() -> None:
    free, examples = customers(0.2), customers(0.2, group="who")
    part = np.zeros(600, dtype=int)
    for number, rows in enumerate(split(free, APART, 1).parts().values()):
        part[rows] = number
    with pytest.raises(UserError) as caught:
        split(examples, APART, 1)
    crossing = (pd.Series(part).groupby(examples.frame.who).nunique() > 1).sum()
    assert crossing > 20
    message = str(caught.value)
    assert f"{crossing:,} values of who are on more than one side" in message
    assert "train row" in message
    assert "training.split.kind=group" in message
    assert "data.recurring=true" in message
    split(examples, SplitConfig(kind="group"), 1)


def test_an_overlap_without_a_named_group_is_found_by_the_rows_themselves() -> None:
    examples = customers(0.2)
    apart = split(examples, APART, 1)
    with pytest.raises(UserError, match="near-duplicate rows") as caught:
        guard(examples, apart, RANDOM)
    assert "training.split.duplicates=together" in str(caught.value)
    assert "data.group=COLUMN" in str(caught.value)
    guard(examples, split(examples, RANDOM, 1), RANDOM)
    clean = customers(0)
    guard(clean, split(clean, APART, 1), RANDOM)


def test_customers_who_are_met_again_may_be_on_both_sides() -> None:
    examples = customers(0.2, group="who", recurring=True)
    guard(examples, parts(np.arange(600) % 3), APART)


def test_a_row_that_is_in_two_parts_or_twice_in_one_is_named() -> None:
    examples = table(pd.DataFrame({"x": np.random.default_rng(0).random(9), "y": [0, 1, 0] * 3}))
    both = Split(np.array([0, 1, 2]), np.array([2, 3]), np.array([4, 5]), "x")
    twice = Split(np.array([0, 1, 1]), np.array([2, 3]), np.array([4, 5]), "x")
    for found, row in ((both, 2), (twice, 1)):
        with pytest.raises(UserError, match=f"1 rows are in it twice, such as rows {row}"):
            guard(examples, found, RANDOM)


@pytest.mark.parametrize(
    ("times", "gap", "message"),
    [
        ([1, 2, 3, 3, 5, 6], 0, r"1 rows of the train .* row 3 \(3\), such as row 2 \(3\)"),
        ([1, 2, 3, 4, 5, 6], 1, "less than the gap of 1 before the first of the valid part"),
        ([1, 2, 3, 9, 5, 6], 0, "training.split.kind=time"),
        ([1, 2, 3, None, 5, 6], 0, "have no day, such as rows 3"),
        ([1, 2, 3, 6, 9, 12], 2, None),
    ],
)
def test_time_must_not_run_backwards(times: list[Any], gap: float, message: str | None) -> None:
    frame = pd.DataFrame({"x": range(6), "y": [0, 1] * 3, "#day": times})
    examples = table(frame, time="#day")
    found, config = parts([0, 0, 0, 1, 2, 2]), SplitConfig(gap=gap)
    if message is None:
        guard(examples, found, config)
    else:
        with pytest.raises(UserError, match=message):
            guard(examples, found, config)


@settings(max_examples=200, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(0, 12), st.integers(-1, 2)), min_size=1, max_size=14),
    what=st.sampled_from(["key", "group"]),
)
def test_keys_and_groups_are_refused_exactly_where_two_sides_share_one(
    rows: list[tuple[int, int]], what: str
) -> None:
    value = [each for each, _ in rows]
    part = [each for _, each in rows]
    frame = pd.DataFrame({"x": 1.0, "y": 0, "k": value, "l": [f"v{each}" for each in value]})
    schema: dict[str, Any] = {"key": ["k", "l"]} if what == "key" else {"group": "l"}
    shared = any(
        value[a] == value[b] and part[a] != part[b] and min(part[a], part[b]) >= 0
        for a, b in itertools.combinations(range(len(rows)), 2)
    )
    try:
        guard(table(frame, **schema), parts(part), RANDOM)
        assert not shared
    except UserError:
        assert shared


@settings(max_examples=100, deadline=None)
@given(
    times=st.lists(st.integers(0, 9), min_size=3, max_size=12),
    cuts=st.tuples(st.integers(0, 10), st.integers(0, 10)),
    gap=st.sampled_from([0.0, 1.0, 2.0]),
)
def test_time_is_refused_exactly_where_a_row_is_too_late(
    times: list[int], cuts: tuple[int, int], gap: float
) -> None:
    part = np.searchsorted(sorted(cuts), np.arange(len(times)), side="right")
    frame = pd.DataFrame({"x": 1.0, "y": 0, "day": times})
    overlap = any(
        part[a] < part[b]
        and (times[a] + gap >= times[b] if gap else times[a] >= times[b])
        and part[b] == min(p for p in part if p > part[a])
        for a, b in itertools.permutations(range(len(times)), 2)
    )
    try:
        guard(table(frame, time="day"), parts(part), SplitConfig(gap=gap))
        assert not overlap
    except UserError:
        assert overlap


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), share=st.sampled_from([0.0, 0.05, 0.3]))
def test_near_duplicates_are_those_that_comparing_every_pair_finds(seed: int, share: float) -> None:
    examples = customers(share, seed, rows=80)
    found = split(examples, APART, seed)
    part = np.full(80, -1)
    for number, rows in enumerate(found.parts().values()):
        part[rows] = number
    values = examples.frame[list("abc")].to_numpy()
    shared = any(
        part[a] != part[b] and np.allclose(values[a], values[b], rtol=1e-6, atol=0)
        for a, b in itertools.combinations(range(80), 2)
    )
    try:
        guard(examples, found, RANDOM)
        assert not shared
    except UserError:
        assert shared


@pytest.mark.slow
def test_a_million_rows_are_looked_at_in_no_time() -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(1_000_000, 20)))
    frame.columns = [f"x{number}" for number in range(20)]
    frame["y"], frame["who"] = random.integers(0, 2, len(frame)), np.arange(len(frame))
    kinds: Any = dict.fromkeys(frame.columns[:20], "numeric")
    schema = Schema("binary", "y", kinds, ["0", "1"], key=["who", "y"], group="who")
    examples = Examples(frame, schema, {}, {})
    found = parts(random.permutation(len(frame)) % 3)
    began = time.perf_counter()
    guard(examples, found, RANDOM)
    print("guard", time.perf_counter() - began)
    assert time.perf_counter() - began < 3  # 0.3 where nothing else runs
