"""Thresholds: the cheapest on the rows that choose, and an honest price on others."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from {{cookiecutter.package_name}}.config import CostsConfig, load_config
from {{cookiecutter.package_name}}.data.examples import Schema
from {{cookiecutter.package_name}}.evaluation.intervals import resample
from {{cookiecutter.package_name}}.evaluation.thresholds import (
    choose,
    curve,
    decide,
    ideal,
)
from {{cookiecutter.package_name}}.workflow import evaluate, train

from .conftest import SMALL

BINARY = Schema("binary", "y", {}, ["no", "yes"])


def cost(threshold: float, target: np.ndarray, predicted: np.ndarray, costs: CostsConfig) -> float:
    acts = predicted >= threshold
    wrong = costs.false_positive * (acts & (target == 0)) + costs.false_negative * (
        ~acts & (target == 1)
    )
    return float(wrong.mean())


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    rows=st.integers(2, 40),
    levels=st.sampled_from([1, 3, 1000]),
    false_negative=st.sampled_from([0.1, 1.0, 7.0]),
)
def test_no_threshold_is_cheaper(seed: int, rows: int, levels: int, false_negative: float) -> None:
    random = np.random.default_rng(seed)
    target, predicted = random.integers(0, 2, rows), random.integers(0, levels + 1, rows) / levels
    costs = CostsConfig(1.0, false_negative)
    for threshold, value in zip(*curve(target, predicted, costs), strict=True):
        assert value == pytest.approx(cost(threshold, target, predicted, costs))
    tried = [cost(each, target, predicted, costs) for each in np.linspace(0, 1.1, 60)]
    assert cost(choose(target, predicted, costs), target, predicted, costs) <= min(tried) + 1e-9


def test_right_probabilities_lead_to_the_ideal_threshold() -> None:
    random = np.random.default_rng(1)
    predicted = random.random(200_000)
    target = (random.random(200_000) < predicted).astype(int)
    costs = CostsConfig(false_positive=1, false_negative=3)
    assert ideal(costs) == 0.25
    assert choose(target, predicted, costs) == pytest.approx(0.25, abs=0.04)


def test_what_a_decision_costs_is_compared_with_simple_rules() -> None:
    random = np.random.default_rng(2)
    predicted = random.random(2000)
    target = (random.random(2000) < predicted).astype(int)
    costs = CostsConfig(false_positive=1, false_negative=4)
    drawn = resample(pd.DataFrame({"y": target}), BINARY, random)
    found = decide(0.2, target, predicted, costs, drawn)
    assert found.cost["never"] == pytest.approx(4 * target.mean())
    assert found.cost["always"] == pytest.approx(1 - target.mean())
    assert found.cost["chosen"] == pytest.approx(cost(0.2, target, predicted, costs))
    assert {name: each.verdict for name, each in found.differences.items()} == {
        "0.5": "better",
        "always": "better",
        "never": "better",
    }
    low, high = found.interval["chosen"]
    assert low < found.cost["chosen"] < high


def test_a_threshold_that_fits_noise_is_no_better() -> None:
    claims = 0
    for seed in range(40):
        random = np.random.default_rng(seed)
        valid, test = random.integers(0, 2, (2, 150))
        predicted = random.random((2, 150))
        threshold = choose(valid, predicted[0], CostsConfig())
        drawn = resample(pd.DataFrame({"y": test}), BINARY, random)
        found = decide(threshold, test, predicted[1], CostsConfig(), drawn)
        claims += found.differences["never"].verdict == "better"
    assert claims <= 5  # 1 of 40 is meant; 5 is four deviations more


def test_an_evaluation_records_its_decision() -> None:
    train(load_config(SMALL))
    judged = evaluate(load_config(["evaluation.costs.false_negative=9"]))
    recorded = json.loads((judged.folder / "decision.json").read_text())
    assert judged.decision is not None
    assert recorded["ideal"] == pytest.approx(0.1)
    valid = judged.examples.frame.iloc[judged.split.valid]
    costs = judged.config.evaluation.costs
    chosen = choose(valid.click.to_numpy(), judged.model.predict(valid), costs)
    assert recorded["threshold"] == judged.decision.threshold == pytest.approx(chosen)
