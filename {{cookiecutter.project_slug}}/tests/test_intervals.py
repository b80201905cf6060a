"""Intervals: weights mean repeated rows, and the bounds hold the truth as often as they say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from {{cookiecutter.package_name}}.config import load_config
from {{cookiecutter.package_name}}.data.examples import Schema
from {{cookiecutter.package_name}}.evaluation import metrics
from {{cookiecutter.package_name}}.evaluation.intervals import (
    Weighted,
    clusters,
    intervals,
)
from {{cookiecutter.package_name}}.workflow import train

from .conftest import SMALL

BINARY = Schema("binary", "y", {}, ["no", "yes"])
CLASSES = Schema("multiclass", "y", {}, ["a", "b", "c"])
NUMBER = Schema("regression", "y", {})
RANKED = Schema("binary", "y", {}, ["no", "yes"], group="user", ranking="list")


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
    judge = Weighted(frame, predicted, schema, groups, top_k=3, bins=4)
    # Another weighting beside it: a resample must not see its neighbours.
    found = judge.scores(np.stack([np.ones(len(weights)), weights]).astype(np.float64))
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


def test_draws_depend_on_the_seed_and_not_on_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    frame, predicted = make(RANKED, 3, 500, 1000)

    def found(seed: int) -> dict[str, tuple[float, float]]:
        return intervals(frame, predicted, RANKED, np.random.default_rng(seed))

    first = found(1)
    assert first != found(2)
    module = intervals.__module__
    monkeypatch.setattr(f"{module}._BLOCK", 5_000)
    again = found(1)
    for metric, bounds in first.items():
        assert again[metric] == pytest.approx(bounds)


def test_a_run_records_intervals_around_the_metrics_of_its_model() -> None:
    from {{cookiecutter.package_name}}.runs import read_manifest

    manifest = read_manifest(train(load_config(SMALL)).folder)
    own = {name for name in manifest["metrics"] if ".boosting." in name}
    assert set(manifest["intervals"]) == own
    for name, (low, high) in manifest["intervals"].items():
        assert low <= manifest["metrics"][name] <= high, name
