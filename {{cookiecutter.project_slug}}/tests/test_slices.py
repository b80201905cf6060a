"""Slices: what is off is found and said, and noise is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from {{cookiecutter.package_name}}.config import load_config
from {{cookiecutter.package_name}}.data.examples import Examples, Schema
from {{cookiecutter.package_name}}.errors import UserError
from {{cookiecutter.package_name}}.evaluation.slices import (
    COLUMNS,
    MIN_ROWS,
    find_slices,
)
from {{cookiecutter.package_name}}.workflow import evaluate, train

from .conftest import SMALL

TASKS = ("binary", "multiclass", "regression")


def noise(seed: int, task: str, rows: int, grouped: bool = False) -> tuple[Examples, Any]:
    """Predictions that are as right in each slice as in any other."""
    random = np.random.default_rng(seed)
    kinds: Any = {f"c{i}": "categorical" for i in range(5)} | {f"x{i}": "numeric" for i in range(5)}
    frame = pd.DataFrame(
        {f"c{i}": random.integers(0, 3 + 4 * i, rows).astype(str) for i in range(5)}
    )
    for i in range(5):
        frame[f"x{i}"] = random.normal(size=rows)
    frame["user"] = random.integers(0, rows // 8, rows)
    classes: list[str] = []
    if task == "binary":
        predicted = random.beta(1, 6, rows)
        frame["y"] = (random.random(rows) < predicted).astype(int)
        classes = ["no", "yes"]
    elif task == "multiclass":
        predicted = random.dirichlet([1, 1, 2], rows)
        frame["y"] = (random.random((rows, 1)) > predicted.cumsum(axis=1)).sum(axis=1).clip(0, 2)
        classes = ["a", "b", "c"]
    else:
        predicted = random.normal(size=rows)
        level = random.normal(size=rows)[frame.user] * grouped
        frame["y"] = predicted + level + random.normal(size=rows)
    schema = Schema(task, "y", kinds, classes, group="user" if grouped else None)  # type: ignore[arg-type]
    return Examples(frame, schema, {}, {}), predicted


def found(examples: Examples, predicted: Any, **more: Any) -> pd.DataFrame:
    return find_slices(examples, np.arange(len(examples)), predicted, **more)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("grouped", [False, True])
def test_noise_is_no_finding(task: str, grouped: bool) -> None:
    shown = sum((found(*noise(seed, task, 600, grouped)).finding != "").any() for seed in range(40))
    assert shown <= 7  # 2 of 40 are meant at most; 7 is three and a half deviations more


@pytest.mark.parametrize("task", TASKS)
def test_a_planted_fault_comes_first(task: str) -> None:
    examples, predicted = noise(1, task, 3000)
    bad = (examples.frame.c1 == "2").to_numpy()
    if task == "multiclass":
        predicted[bad] = predicted[bad][:, ::-1]
    elif task == "binary":
        predicted[bad] = 1 - predicted[bad]
    else:
        predicted[bad] += 2
    first = found(examples, predicted).iloc[0]
    assert first.slice == "c1 = 2"
    assert first["rows"] == bad.sum()
    assert "worse than the rest" in first.finding and "predicted too" in first.finding


def test_numbers_are_those_of_the_rows() -> None:
    examples, predicted = noise(2, "binary", 1000)
    table = found(examples, predicted, most=None).set_index("slice")
    assert list(table.reset_index().columns) == COLUMNS
    frame = examples.frame
    inside = (frame.c0 == "1").to_numpy()
    line = table.loc["c0 = 1"]
    auc = [roc_auc_score(frame.y[mask], predicted[mask]) for mask in (inside, ~inside)]
    assert line.metric == pytest.approx(auc[0])
    assert line.gap == pytest.approx(auc[0] - auc[1])
    assert line.true == pytest.approx(frame.y[inside].mean())
    assert line.off == pytest.approx(frame.y[inside].mean() - predicted[inside].mean())
    assert line.low < line.metric < line.high and line.off_low < line.off < line.off_high


def test_intervals_hold_the_truth_as_often_as_said() -> None:
    held = {"metric": 0, "off": 0}
    for seed in range(100):
        examples, predicted = noise(seed, "regression", 400, grouped=True)
        line = found(examples, predicted, most=None).set_index("slice").loc["c0 = 1"]
        held["off"] += line.off_low <= 0 <= line.off_high
        held["metric"] += line.low <= np.sqrt(2) <= line.high
    assert min(held.values()) >= 86


def test_ranges_and_missing_values_are_slices() -> None:
    examples, predicted = noise(3, "regression", 800)
    examples.frame.loc[:99, "x0"] = np.nan
    names = set(found(examples, predicted, most=None).slice)
    assert "x0 is missing" in names
    assert sum("x0" in name for name in names) == 5
    small = found(*noise(4, "regression", 100), most=None)
    assert small["rows"].min() >= MIN_ROWS


def test_declared_columns_are_always_shown() -> None:
    examples, predicted = noise(5, "binary", 600)
    examples.frame["town"] = ["here"] * 590 + ["there"] * 10
    table = found(examples, predicted, declared=["town"], most=3)
    assert {"town = here", "town = there"} <= set(table.slice)
    with pytest.raises(UserError, match="no column 'towm'"):
        found(examples, predicted, declared=["towm"])


def test_an_evaluation_writes_its_slices() -> None:
    train(load_config(SMALL))
    judged = evaluate(load_config(["evaluation.slices=[segment]"]))
    table = pd.read_csv(judged.folder / "slices.csv")
    assert list(table.columns) == COLUMNS
    assert (table.slice.str.startswith("segment = ")).sum() == 4
