"""Splits: disjoint, complete, seeded, and nothing from tomorrow in training."""

from __future__ import annotations

import hashlib
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
from {{cookiecutter.package_name}}.training.duplicates import find_duplicates, tied
from {{cookiecutter.package_name}}.training.folds import folds
from {{cookiecutter.package_name}}.training.splits import deal, split


def make(rows: int = 400, **schema: Any) -> Examples:
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


def repeated(rows: int = 400, times: int = 3, seed: int = 0, **schema: Any) -> Examples:
    """Rows of five numbers, each ``times`` times but for the last digits, in any order."""
    random = np.random.default_rng(seed)
    count = rows // times
    true = random.normal(100, 20, (count, 5)).repeat(times, axis=0)
    values = true * (1 + random.uniform(0, 1e-9, true.shape))
    frame = pd.DataFrame(values, columns=list("abcde"))
    frame["who"] = np.arange(count).repeat(times)
    frame["y"] = (random.random(count) < 0.3).astype(int).repeat(times)
    frame = frame.sample(frac=1, random_state=seed).reset_index(drop=True)
    kinds = Schema("binary", "y", dict.fromkeys("abcde", "numeric"), ["0", "1"], **schema)
    return Examples(frame, kinds, {}, {})


@pytest.mark.parametrize("kind", ["time", "group", "stratified", "random"])
def test_every_row_is_in_one_part(kind: str) -> None:
    examples = make(time="day", group="who", recurring=True)
    parts = split(examples, SplitConfig(kind=kind), 42).parts()
    rows = np.sort(np.concatenate(list(parts.values())))
    assert (rows == np.arange(400)).all()


def test_time_puts_the_future_last() -> None:
    examples = make(time="day")
    found = split(examples, SplitConfig(), 42)
    day = examples.frame.day
    assert day[found.train].max() < day[found.valid].min()
    assert day[found.valid].max() < day[found.test].min()
    assert sorted(day[found.test].unique()) == [15, 16, 17, 18, 19]


def test_a_gap_leaves_out_what_is_too_near_and_says_how_much() -> None:
    examples = make(time="day")
    found = split(examples, SplitConfig(gap=2), 42)
    day = examples.frame.day
    assert sorted(day[found.train].unique()) == list(range(8))
    assert sorted(day[found.valid].unique()) == [10, 11, 12]
    assert sorted(day[found.test].unique()) == [15, 16, 17, 18, 19]
    assert "80 rows within the gap of 2 left out" in found.how


def test_a_row_without_a_time_is_in_no_part_and_is_counted() -> None:
    examples = make(time="day")
    examples.frame["day"] = examples.frame.day.astype("float64").mask(examples.frame.index == 3)
    found = split(examples, SplitConfig(), 42)
    assert 3 not in np.concatenate(list(found.parts().values()))
    assert "1 rows without a time left out" in found.how


@pytest.mark.parametrize("kind", ["auto", "group", "stratified"])
def test_a_group_stays_on_one_side(kind: str) -> None:
    examples = make(group="who")
    found = split(examples, SplitConfig(kind=kind), 42)
    sides = [set(examples.frame.who[rows]) for rows in found.parts().values()]
    assert not (sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])


def test_groups_that_recur_may_be_parted() -> None:
    assert "stratified" in split(make(group="who", recurring=True), SplitConfig(), 42).how


def test_stratified_keeps_the_shares() -> None:
    examples = make()
    for rows in split(examples, SplitConfig(), 42).parts().values():
        assert examples.frame.y[rows].mean() == pytest.approx(0.1, abs=0.01)


def test_stratified_by_group_keeps_the_shares_of_a_class_that_few_groups_have() -> None:
    random = np.random.default_rng(3)
    who = random.integers(0, 60, 3000)
    y = (who < 8) & (random.random(3000) < 0.4)  # 8 of 60 groups have all there is of it
    frame = pd.DataFrame({"x": random.random(3000), "y": y.astype(int), "who": who})
    kinds = Schema("binary", "y", {"x": "numeric"}, ["0", "1"], group="who")
    found = split(Examples(frame, kinds, {}, {}), SplitConfig(kind="stratified"), 1)
    for name, share in (("train", 0.5), ("valid", 0.25), ("test", 0.25)):
        rows = found.parts()[name]
        assert len(rows) / 3000 == pytest.approx(share, abs=0.02)
        assert y[rows].sum() / y.sum() == pytest.approx(share, abs=0.06)


@pytest.mark.parametrize("kind", ["group", "stratified", "random"])
def test_near_duplicates_stay_together(kind: str) -> None:
    examples = repeated(group="who", recurring=kind != "group")
    if kind == "group":  # groups that share a row are tied to each other
        place = examples.frame.groupby("who").cumcount()
        examples.frame["who"] = examples.frame.who * 2 + (place > 0)
    found = split(examples, SplitConfig(kind=kind), 42)
    first = examples.frame.a.round(4)
    sides = [set(first[rows]) for rows in found.parts().values()]
    assert not (sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])
    assert f"{len(examples):,} near-duplicate rows stay together" in found.how
    sizes = [len(rows) for rows in found.parts().values()]
    assert sizes == pytest.approx([200, 100, 100], abs=50 if kind == "group" else 8)
    apart = split(repeated(), SplitConfig(kind="random", duplicates="apart"), 42)
    assert "near-duplicate" not in apart.how


def test_rows_that_agree_by_chance_are_not_taken_for_repeated_ones() -> None:
    random = np.random.default_rng(5)
    frame = pd.DataFrame(
        {
            "age": random.integers(1, 80, 2000).astype(float),
            "fare": random.integers(5, 90, 2000).astype(float),
            "sex": pd.Series(random.choice(["m", "f"], 2000), dtype="str"),
            "y": random.integers(0, 2, 2000),
        }
    )
    kinds: Any = {"age": "numeric", "fare": "numeric", "sex": "categorical"}
    schema = Schema("binary", "y", kinds, ["0", "1"])
    assert frame.duplicated(["age", "fare", "sex"]).sum() > 50
    assert find_duplicates(frame, schema).rows == 0


def test_what_very_many_rows_agree_on_makes_no_lump() -> None:
    examples = repeated(600, 2)
    names = list("abcde")
    examples.frame.loc[:99, names] = examples.frame.loc[0, names].to_numpy()  # such as zeros
    found = find_duplicates(examples.frame, examples.schema)
    assert found.common >= 100
    assert "would tie too many rows together" in str(found)
    assert np.bincount(found.lump[found.lump >= 0]).max() <= 30


def test_lumps_that_would_chain_all_groups_are_cut() -> None:
    examples = repeated(600, 2)
    place = examples.frame.groupby("who").cumcount().to_numpy()
    chain = (examples.frame.who.to_numpy() + place) % 300  # each group shares a row with the next
    found = find_duplicates(examples.frame, examples.schema, None, chain)
    assert np.bincount(tied(chain, found.lump)).max() <= 120


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(-1, 8)), min_size=1, max_size=30))
def test_ties_are_those_of_a_walk_from_row_to_row(rows: list[tuple[int, int]]) -> None:
    groups = pd.factorize(np.array([group for group, _ in rows]), sort=True)[0].astype(np.int64)
    lumps = np.array([lump for _, lump in rows])
    reached: list[set[int]] = []
    for start in range(len(rows)):
        seen, queue = {start}, [start]
        while queue:
            here = queue.pop()
            for other in range(len(rows)):
                tie = groups[here] == groups[other] or (lumps[here] == lumps[other] >= 0)
                if tie and other not in seen:
                    seen.add(other)
                    queue.append(other)
        reached.append(seen)
    unit = tied(groups, lumps)
    for row, expected in enumerate(reached):
        assert set(np.flatnonzero(unit == unit[row])) == expected


@settings(max_examples=100, deadline=None)
@given(
    units=st.lists(st.integers(0, 15), min_size=1, max_size=80),
    parts=st.integers(2, 6),
    seed=st.integers(0, 1000),
)
def test_dealt_units_are_whole_and_the_parts_even(units: list[int], parts: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    classes = random.integers(0, 3, len(units))
    part = deal(np.array(units), classes, [1 / parts] * parts, random)
    assert part.min() >= 0
    assert part.max() < parts
    for unit in set(units):
        assert len(set(part[np.array(units) == unit])) == 1
    largest = max(units.count(unit) for unit in set(units))
    if len(units) >= parts * 6 * largest:
        sizes = np.bincount(part, minlength=parts)
        assert sizes.max() - sizes.min() <= 3 * largest + 2


def test_the_seed_decides() -> None:
    one, same, other = (split(make(), SplitConfig(), seed).test for seed in (1, 1, 2))
    assert (one == same).all()
    assert not np.array_equal(one, other)


@pytest.mark.parametrize(
    ("kind", "digest"),
    [
        ("time", "c42c"),
        ("group", "294e"),
        ("stratified", "8a9c"),
        ("random", "110e"),
    ],
)
def test_rows_that_are_all_different_fall_as_they_always_did(kind: str, digest: str) -> None:
    examples = make(time="day", group="who", recurring=True)
    parts = split(examples, SplitConfig(kind=kind), 42).parts()
    text = repr([rows.tolist() for rows in parts.values()])
    assert hashlib.sha256(text.encode()).hexdigest()[:4] == digest


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


@pytest.mark.parametrize("kind", ["stratified", "group", "random", "time"])
def test_folds_judge_each_row_once_a_repeat_and_never_learn_from_it(kind: str) -> None:
    examples = make(
        600, group="who", time="day" if kind == "time" else None, recurring=kind != "group"
    )
    outer = split(examples, SplitConfig(kind=kind), 42)
    rows = np.sort(np.concatenate([outer.train, outer.valid]))
    found = folds(examples, rows, SplitConfig(kind=kind), 4, 2, 42)
    assert len(found) == (4 if kind == "time" else 8)
    for fold in found:
        used = np.concatenate(list(fold.parts().values()))
        assert len(set(used)) == len(used)
        assert set(used) <= set(rows)
        assert min(len(part) for part in fold.parts().values()) > 0
    if kind != "time":
        for repeat in (found[:4], found[4:]):
            judged = np.sort(np.concatenate([fold.test for fold in repeat]))
            assert (judged == rows).all()
        assert not np.array_equal(found[0].test, found[4].test)


def test_folds_by_time_only_look_back_and_keep_the_gap() -> None:
    examples = make(time="day")
    day = examples.frame.day
    for fold in folds(examples, np.arange(300), SplitConfig(gap=1), 2, 1, 42):
        assert day[fold.train].max() + 1 < day[fold.valid].min()
        assert day[fold.valid].max() + 1 < day[fold.test].min()


def test_folds_keep_groups_and_near_duplicates_together() -> None:
    for examples in (repeated(group="who"), repeated()):
        for fold in folds(examples, np.arange(300), SplitConfig(), 5, 1, 1):
            sides = [set(examples.frame.who[rows]) for rows in fold.parts().values()]
            assert not (sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])
            assert len(fold.test) == pytest.approx(60, abs=6)


def test_too_many_folds_are_refused() -> None:
    with pytest.raises(UserError, match=r"evaluation\.folds"):
        folds(make(rows=60), np.arange(60), SplitConfig(), 30, 1, 42)
    with pytest.raises(UserError, match=r"evaluation\.folds"):
        folds(make(time="day"), np.arange(60), SplitConfig(), 10, 1, 42)


@pytest.mark.slow
def test_a_million_rows_are_split_in_no_time() -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(1_000_000, 20)))
    frame.columns = [f"x{number}" for number in range(20)]
    frame["y"] = random.integers(0, 2, len(frame))
    schema = Schema("binary", "y", dict.fromkeys(frame.columns[:20], "numeric"), ["0", "1"])
    began = time.perf_counter()
    split(Examples(frame, schema, {}, {}), SplitConfig(), 42)
    assert time.perf_counter() - began < 3  # 0.3 where nothing else runs
