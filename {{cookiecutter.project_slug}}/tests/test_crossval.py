"""Cross-validation: honest means, intervals that hold the truth, and test rows nobody reads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from {{cookiecutter.package_name}}.config import Config, load_config
from {{cookiecutter.package_name}}.cross_validate import main
from {{cookiecutter.package_name}}.data.examples import Examples, Schema
from {{cookiecutter.package_name}}.errors import UserError
from {{cookiecutter.package_name}}.evaluation.crossval import (
    CrossValidation,
    corrected,
    cross_validate,
    figure,
)
from {{cookiecutter.package_name}}.evaluation.metrics import score
from {{cookiecutter.package_name}}.runs import find_run, read_manifest
from {{cookiecutter.package_name}}.training.models import fit_model
from {{cookiecutter.package_name}}.training.splits import Split, split

from .conftest import SHOP, SMALL

COLUMNS = ["a", "b", "c"]


def simulated(
    rows: int, random: np.random.Generator, strength: float, task: str = "binary"
) -> Examples:
    """Three numbers, of which two say something about the target, ``strength`` much."""
    frame = pd.DataFrame(random.normal(size=(rows, 3)), columns=COLUMNS)
    signal = strength * (frame.a - 0.5 * frame.b)
    frame["y"] = signal + random.normal(size=rows)
    if task == "binary":
        frame["y"] = (random.random(rows) < 1 / (1 + np.exp(-signal))).astype(int)
    kinds: Any = dict.fromkeys(COLUMNS, "numeric")
    classes = ["no", "yes"] if task == "binary" else []
    named: Any = task
    return Examples(frame, Schema(named, "y", kinds, classes), {}, {})


def config(*overrides: str) -> Config:
    return load_config([*SHOP, "model=linear", "seed=1", *overrides])


def judged(examples: Examples, *overrides: str) -> CrossValidation:
    return cross_validate(config(*overrides), examples, np.arange(len(examples)))


def test_the_interval_is_that_of_nadeau_and_bengio() -> None:
    scores = np.array([0.71, 0.75, 0.69, 0.73, 0.72, 0.70, 0.74, 0.68, 0.76, 0.72])
    found = corrected(scores, 1 / 4)
    error = np.sqrt((1 / 10 + 1 / 4) * scores.var(ddof=1))
    assert found.mean == pytest.approx(0.72)
    assert found.error == pytest.approx(error)
    assert found.high - found.mean == pytest.approx(2.2621572 * error)  # t with 9 degrees, 97.5 %
    assert corrected([0.7], 0.25).low == -np.inf


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_a_signal_is_better_than_the_baseline_and_noise_is_not(task: str) -> None:
    main_metric = "roc_auc" if task == "binary" else "rmse"
    random = np.random.default_rng(8)
    strong = judged(simulated(500, random, 1.5, task))
    assert strong.verdict(main_metric) == "better"
    assert "linear is better than popularity" in strong.report()
    assert strong.gains[main_metric].low > 0
    noise = judged(simulated(500, random, 0.0, task))
    assert noise.verdict(main_metric) != "better"
    assert "linear is no better than popularity" in noise.report()
    assert not (noise.gains[main_metric].low > 0)


def test_the_baseline_is_not_compared_with_itself() -> None:
    examples = simulated(300, np.random.default_rng(0), 1.0)
    found = cross_validate(load_config([*SHOP, "model=popularity"]), examples, np.arange(300))
    assert found.gains == {}
    assert list(found.estimates) == ["popularity"]
    assert "better" not in found.report()


def test_a_fold_is_scored_on_the_rows_it_holds_back() -> None:
    examples = simulated(300, np.random.default_rng(0), 1.0)
    found = judged(examples, "evaluation.folds=3", "evaluation.repeats=2")
    own = found.scores[found.scores.model == "linear"]
    assert len(own[own.metric == "roc_auc"]) == 6
    assert own.groupby("repeat").judged.sum().tolist() == [300 * own.metric.nunique()] * 2
    assert ((own.learnt + own.judged) == 300).all()
    assert found.estimates["linear"]["roc_auc"].mean == pytest.approx(
        own[own.metric == "roc_auc"].value.mean()
    )


@pytest.mark.parametrize("model", ["model=linear", "model=boosting"])
def test_rows_for_testing_are_never_read(model: str) -> None:
    clean = simulated(400, np.random.default_rng(0), 1.0)
    wanted = load_config([*SHOP, model, "evaluation.folds=3", "evaluation.repeats=1"])
    parts = split(clean, wanted.training.split, 1)
    rows = np.sort(np.append(parts.train, parts.valid))
    poisoned = Examples(clean.frame.copy(), clean.schema, {}, {})
    poisoned.frame.loc[parts.test, COLUMNS] = np.inf
    poisoned.frame.loc[parts.test, "y"] = 1 - poisoned.frame.loc[parts.test, "y"]
    one, other = (cross_validate(wanted, each, rows) for each in (clean, poisoned))
    pd.testing.assert_frame_equal(one.scores, other.scores, check_exact=True)
    assert one.report() == other.report()


def test_too_few_rows_are_refused_with_how_to_go_on() -> None:
    with pytest.raises(UserError, match=r"evaluation\.folds=5"):
        judged(simulated(12, np.random.default_rng(0), 1.0), "evaluation.folds=10")


def test_the_command_gives_the_same_bytes_for_any_number_of_threads(
    capsys: pytest.CaptureFixture[str],
) -> None:
    outputs = []
    for threads in (1, 2):
        main(load_config([*SMALL, "evaluation.folds=3", f"training.threads={threads}"]))
        found = read_manifest(find_run("latest", "cross_validate"))
        outputs.append((found["outputs"], found["metrics"], found["intervals"]))
        assert {"folds.parquet", "plots/folds.png"} <= set(found["outputs"])
        low, high = found["intervals"]["folds.boosting.roc_auc"]
        assert low < found["metrics"]["folds.boosting.roc_auc"] < high
        assert "gain.boosting.roc_auc" in found["metrics"]
    assert outputs[0] == outputs[1]
    assert "rows are not looked at" in capsys.readouterr().out


def test_the_figure_shows_the_main_metric() -> None:
    drawn = figure(judged(simulated(200, np.random.default_rng(0), 1.0, "regression")))
    assert drawn.axes[0].get_xlabel() == "RMSE"


@pytest.mark.slow
@pytest.mark.parametrize(("strength", "most_better"), [(1.0, 200), (0.0, 12)])
def test_intervals_hold_the_truth_about_as_often_as_they_say(
    strength: float, most_better: int
) -> None:
    wanted, baseline = config(), load_config([*SHOP, "model=popularity"])
    random = np.random.default_rng(17)
    world = simulated(30_000, random, strength, "regression").frame
    # What the model scores on average when it learns from as many rows as in a fold of 240.
    scores = []
    for _ in range(200):
        learnt = simulated(128, random, strength, "regression")
        parts = Split(np.arange(128), np.arange(0), np.arange(0), "")
        models = [fit_model(each.model, learnt, parts, 1, 1) for each in (wanted, baseline)]
        scores.append([score(world, m.predict(world), learnt.schema)["rmse"] for m in models])
    own, other = np.mean(scores, axis=0)
    found = [judged(simulated(240, random, strength, "regression")) for _ in range(200)]
    held = sum(e.low <= own <= e.high for e in (cv.estimates["linear"]["rmse"] for cv in found))
    gains = [cv.gains["rmse"] for cv in found]
    covered = sum(each.low <= other - own <= each.high for each in gains)
    better = sum(cv.verdict("rmse") == "better" for cv in found)
    print(f"strength {strength}: of 200 intervals, {held} held the score and {covered} the gain of")
    print(f"{other - own:.4f}; better was said {better} times")
    assert min(held, covered) >= 178  # where 190 are meant: 178 is four deviations away
    assert better <= most_better
