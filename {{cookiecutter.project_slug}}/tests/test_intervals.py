"""Intervals: weights mean repeated rows, and the bounds hold the truth as often as they say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from {{cookiecutter.package_name}}.config import load_config
from {{cookiecutter.package_name}}.data.examples import Schema
from {{cookiecutter.package_name}}.evaluation import metrics
from {{cookiecutter.package_name}}.evaluation.intervals import (
    Resamples,
    Weighted,
    clusters,
    intervals,
    resample,
    resampled,
    student,
)
from {{cookiecutter.package_name}}.workflow import train

from .conftest import SMALL

BINARY = Schema("binary", "y", {}, ["no", "yes"])
CLASSES = Schema("multiclass", "y", {}, ["a", "b", "c"])
NUMBER = Schema("regression", "y", {})
RANKED = Schema("binary", "y", {}, ["no", "yes"], group="user", ranking="list")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As in a run; threads that wait for each other take long on a busy machine."""
    with threadpool_limits(1, user_api="blas"):
        yield


def make(schema: Schema, seed: int, rows: int, levels: int) -> tuple[pd.DataFrame, Any]:
    """Rows in groups and lists, and predictions of few different values, so that many are equal."""
    random = np.random.default_rng(seed)
    user = random.integers(0, 6, rows)
    frame = pd.DataFrame({"user": user, "list": user * 3 + random.integers(0, 3, rows)})
    if schema.task == "regression":
        frame["y"] = random.normal(100, 5, rows)
        return frame, random.normal(100, 5, rows)
    if schema.task == "multiclass":
        frame["y"] = random.integers(0, 3, rows)
        chance = random.integers(1, levels + 1, (rows, 3)).astype(np.float64)
        return frame, chance / chance.sum(axis=1, keepdims=True)
    frame["y"] = random.integers(0, 2, rows)
    return frame, random.integers(0, levels, rows) / levels


@settings(max_examples=60, deadline=None)
@given(
    schema=st.sampled_from([BINARY, CLASSES, NUMBER, RANKED]),
    seed=st.integers(0, 10_000),
    rows=st.integers(8, 60),
    levels=st.sampled_from([2, 5, 1000]),
)
def test_a_weighted_metric_is_the_metric_of_the_repeated_rows(
    schema: Schema, seed: int, rows: int, levels: int
) -> None:
    frame, predicted = make(schema, seed, rows, levels)
    groups = clusters(frame, schema)
    weights = np.random.default_rng(seed).integers(0, 4, groups.max() + 1)
    repeated = np.repeat(np.arange(rows), weights[groups])
    copy = np.concatenate([np.arange(n) for n in weights[groups]])
    if frame.y.to_numpy()[repeated].size < 2 or len(set(frame.y.to_numpy()[repeated])) < 2:
        return  # the metrics are undefined
    again = frame.iloc[repeated].assign(list=frame.list.to_numpy()[repeated] * 10 + copy)
    expected = metrics.score(again, predicted[repeated], schema, top_k=3, bins=4)
    # Another weighting beside it: a resample must not see its neighbours.
    both = np.stack([np.ones(len(weights)), weights]).astype(np.float64)
    drawn = Resamples(groups, both, len(weights))
    found = Weighted(frame, predicted, schema, drawn, top_k=3, bins=4).scores(both)
    assert {name: values[1] for name, values in found.items()} == pytest.approx(expected)


def test_rows_of_one_group_make_wide_intervals() -> None:
    random = np.random.default_rng(1)
    level = np.repeat(random.normal(0, 1, 50), 40)  # 50 users, whose 40 rows are all but equal
    frame = pd.DataFrame(
        {"y": level + random.normal(0, 0.1, 2000), "user": np.repeat(range(50), 40)}
    )
    grouped = Schema("regression", "y", {}, group="user")
    widths = {}
    for name, schema in (("rows", NUMBER), ("groups", grouped)):
        low, high = intervals(frame, np.zeros(2000), schema, np.random.default_rng(2))["mae"]
        widths[name] = high - low
    assert widths["groups"] > 4 * widths["rows"]


@pytest.mark.parametrize("metric", ["roc_auc", "log_loss", "calibration_error"])
def test_the_true_value_lies_within_as_often_as_said(metric: str) -> None:
    random = np.random.default_rng(5)

    def draw(count: int) -> tuple[pd.DataFrame, Any]:
        predicted = random.beta(2, 4, count)
        real = np.clip(predicted * 1.4, 0, 1)  # overconfident: the calibration error is no zero
        return pd.DataFrame({"y": (random.random(count) < real).astype(int)}), predicted

    truth = metrics.score(*draw(400_000), BINARY)[metric]
    held = 0
    for _ in range(100):
        low, high = intervals(*draw(400), BINARY, random)[metric]
        held += low <= truth <= high
    assert held >= 86  # of 100, where 95 are meant: 86 is four deviations away


def test_what_has_no_spread_has_no_interval() -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"y": [0] * 40 + [1], "user": 0})
    one_group = Schema("binary", "y", {}, ["no", "yes"], group="user")
    assert intervals(frame, random.random(41), one_group, random) == {}
    nobody = frame.assign(y=0)
    assert set(intervals(nobody, random.random(41), BINARY, random)) == {
        "log_loss",
        "calibration_error",
    }


def test_draws_depend_on_the_seed() -> None:
    frame, predicted = make(RANKED, 3, 500, 1000)

    def found(seed: int) -> dict[str, tuple[float, float]]:
        return intervals(frame, predicted, RANKED, np.random.default_rng(seed))

    assert found(1) == found(1) != found(2)


@pytest.mark.parametrize("share", [0.3, 0.005])
def test_many_rows_get_the_interval_of_a_plain_bootstrap(share: float) -> None:
    random = np.random.default_rng(4)
    target = (random.random(10_000) < share).astype(int)
    frame = pd.DataFrame({"y": target})
    predicted = 1 / (1 + np.exp(-random.normal(target - 1.0, 1)))
    itself = metrics.score(frame, predicted, BINARY)

    def spread() -> dict[str, tuple[float, float]]:
        drawn = resample(frame, BINARY, np.random.default_rng(1), 800)
        assert drawn is not None
        values = resampled(frame, predicted, BINARY, drawn, itself)
        return {name: (each.mean(), each.std()) for name, each in values.items()}

    quick = spread()
    weights = np.random.default_rng(2).poisson(1, (150, 10_000))
    plain: dict[str, list[float]] = {}
    for row in weights:
        again = np.repeat(np.arange(10_000), row)
        for name, value in metrics.score(frame.iloc[again], predicted[again], BINARY).items():
            plain.setdefault(name, []).append(value)
    for name, values in plain.items():
        mean, deviation = quick[name]
        assert deviation == pytest.approx(np.std(values), rel=0.25), name
        assert abs(mean - np.mean(values)) < 0.4 * deviation, name


def test_few_groups_widen_the_tails() -> None:
    for freedom, expected in ((4, 2.776), (9, 2.262), (29, 2.045), (10**6, 1.960)):
        assert student(1.959964, freedom) == pytest.approx(expected, rel=0.01)
    assert student(-1.959964, 9) == -student(1.959964, 9)


def test_a_run_records_intervals_around_its_metrics() -> None:
    from {{cookiecutter.package_name}}.runs import read_manifest

    manifest = read_manifest(train(load_config(SMALL)).folder)
    assert set(manifest["intervals"]) == set(manifest["metrics"])
    for name, (low, high) in manifest["intervals"].items():
        assert low <= manifest["metrics"][name] <= high, name
