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


def test_better_knows_the_direction() -> None:
    assert metrics.better("roc_auc", 0.8, 0.7)
    assert metrics.better("log_loss", 0.2, 0.3)
