"""Metrics against a reference, and where there is none, against a case done by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import ndcg_score

from {{cookiecutter.package_name}}.evaluation import metrics

RANDOM = np.random.default_rng(3)


def test_ndcg_agrees_with_scikit_learn_ties_included() -> None:
    target = RANDOM.integers(0, 2, (50, 20))
    target[:, 0] = 1  # scikit-learn counts a list without a positive as 0, we leave it out
    scores = RANDOM.integers(0, 8, (50, 20)).astype(float)
    lists = np.repeat(np.arange(50), 20)
    shuffled = RANDOM.permutation(1000)
    ours = metrics.ndcg(lists[shuffled], target.ravel()[shuffled], scores.ravel()[shuffled], 10)
    assert ours == pytest.approx(ndcg_score(target, scores, k=10))


def test_recall_by_hand() -> None:
    lists = np.array([1, 1, 1, 1, 2, 2, 3])
    target = np.array([1, 0, 1, 0, 0, 1, 0])
    scores = np.array([0.9, 0.8, 0.1, 0.2, 0.5, 0.5, 0.7])
    # list 1: one of two in the first place; list 2: a tie, so half a hit; list 3: nothing to find
    assert metrics.recall(lists, target, scores, 1) == pytest.approx((0.5 + 0.5) / 2)


def test_a_constant_score_earns_what_chance_would() -> None:
    lists = np.repeat(np.arange(2000), 20)
    target = (np.tile(np.arange(20), 2000) == 0).astype(int)
    assert metrics.recall(lists, target, np.ones(40_000), 10) == pytest.approx(0.5)


def test_calibration_error_is_the_distance_from_the_observed_share() -> None:
    target = np.tile([0, 0, 0, 1], 100)
    assert metrics.calibration_error(target, np.full(400, 0.25), 10) == pytest.approx(0)
    assert metrics.calibration_error(target, np.full(400, 0.75), 10) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("name", "shown"), [("ndcg_at_10", "NDCG@10"), ("recall_at_5", "Recall@5"), ("r2", "R²")]
)
def test_metrics_have_names_for_people(name: str, shown: str) -> None:
    assert metrics.title(name) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.12345, "0.1235"), (12.3456, "12.346"), (123456.7, "123457"), (-3.2, "-3.2000")],
)
def test_numbers_have_as_many_digits_as_say_something(value: float, shown: str) -> None:
    assert metrics.number(value) == shown
    assert metrics.number(float("nan")) == "nan"
    assert metrics.span((-value, value), signed=True).count("+") == 1


def test_a_table_shows_intervals_and_verdicts() -> None:
    scores = {"linear": {"roc_auc": 0.8, "log_loss": 0.4}, "popularity": {"roc_auc": 0.5}}
    found = metrics.table(scores, {"linear": {"roc_auc": (0.7, 0.9)}}, {"roc_auc": "better"})
    assert list(found.columns) == ["linear", "linear, 95 %", "popularity", "verdict"]
    assert list(found.loc["ROC AUC"]) == ["0.8000", "0.7000 to 0.9000", "0.5000", "better"]
    assert list(found.loc["Log loss"]) == ["0.4000", "", "", ""]


def test_rows_that_are_alike_make_shares_less_certain() -> None:
    random = np.random.default_rng(1)
    groups = np.repeat(np.arange(50), 20)
    target = (random.random(50) < 0.5).astype(int)[groups]
    table = [metrics.calibration_table(target, np.full(1000, 0.5), 5, g) for g in (None, groups)]
    assert table[0].error.iloc[0] == pytest.approx(np.sqrt(0.25 / 1000), rel=0.05)
    assert table[1].error.iloc[0] == pytest.approx(np.sqrt(0.25 / 50), rel=0.05)
