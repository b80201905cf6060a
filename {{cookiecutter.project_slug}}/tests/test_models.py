"""Models: saved without pickle, the same when loaded, the same for any number of threads."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from {{cookiecutter.package_name}}.config import LinearConfig, ModelConfig, SplitConfig
from {{cookiecutter.package_name}}.config.schema import VARIANTS
from {{cookiecutter.package_name}}.data.examples import Examples, Schema
from {{cookiecutter.package_name}}.errors import UserError
from {{cookiecutter.package_name}}.runs import sha256
from {{cookiecutter.package_name}}.training.models import (
    encoding,
    fit_model,
    load_model,
    save_model,
)
from {{cookiecutter.package_name}}.training.splits import split

# Settings for small data; a model that is not named has its defaults.
SETTINGS = {"boosting": {"rounds": 40}, "popularity": {"by": "c [x]"}, "neural": {"batch": 32}}
NEEDS = {"neural": "torch"}  # what may not be installed
MODELS = [
    pytest.param(
        settings(**SETTINGS.get(name, {})),
        id=name,
        marks=pytest.mark.skipif(
            name in NEEDS and find_spec(NEEDS[name]) is None,
            reason=f"{NEEDS.get(name)} is not installed",
        ),
    )
    for name, settings in VARIANTS["model"][1].items()
]
LEARNERS = [model for model in MODELS if model.id != "popularity"]
TASKS = ["binary", "multiclass", "regression"]


def make(task: str) -> Examples:
    """A known rule with a category, a missing value and a name that libraries stumble over."""
    random = np.random.default_rng(1)
    x, word = random.normal(size=600), random.integers(0, 4, 600)
    score = x + word - 1.5 + random.normal(scale=0.3, size=600)
    y = {"binary": score > 0, "multiclass": np.digitize(score, [-1, 1]), "regression": score}[task]
    frame = pd.DataFrame({"x": x, "c [x]": [f"w{w}" for w in word], "y": y.astype(float)})
    frame.loc[::17, "x"] = np.nan
    frame.loc[::19, "c [x]"] = None
    classes = {"binary": ["n", "y"], "multiclass": ["a", "b", "c"], "regression": []}[task]
    schema = Schema(task, "y", {"c [x]": "categorical", "x": "numeric"}, classes)  # type: ignore[arg-type]
    return Examples(frame, schema, {}, {})


def fitted(config: ModelConfig, task: str, folder: Path, threads: int = 1, judged: str = "test"):
    examples = make(task)
    parts = split(examples, SplitConfig(), 42)
    model = fit_model(config, examples, parts, 7, threads)
    save_model(model, folder)
    return model, examples.frame.iloc[parts.parts()[judged]]


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("config", MODELS)
def test_a_loaded_model_predicts_the_same_bits(config, task: str, tmp_path: Path) -> None:
    model, test = fitted(config, task, tmp_path)
    again = load_model(tmp_path)
    assert np.array_equal(model.predict(test), again.predict(test))
    assert list(again.schema.features) == ["c [x]", "x"]
    assert model.predict(test).shape == ((len(test), 3) if task == "multiclass" else (len(test),))


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("config", LEARNERS)
def test_a_model_finds_the_rule(config, task: str, tmp_path: Path) -> None:
    model, test = fitted(config, task, tmp_path)
    predicted, true = model.predict(test), test.y.to_numpy()
    if task == "regression":
        assert np.corrcoef(predicted, true)[0, 1] > 0.8
    else:
        chosen = predicted.argmax(axis=1) if predicted.ndim == 2 else predicted > 0.5
        assert (chosen == true).mean() > 0.7
    if importance := model.importance():
        assert list(importance) == list(model.schema.features)
        assert sum(importance.values()) == pytest.approx(1)


@pytest.mark.parametrize("config", MODELS)
def test_fitting_twice_and_with_more_threads_gives_the_same_bytes(config, tmp_path: Path) -> None:
    for folder, threads in (("a", 1), ("b", 1), ("c", 2)):
        fitted(config, "binary", tmp_path / folder, threads)
    files = [p.relative_to(tmp_path / "a") for p in (tmp_path / "a").iterdir()]
    for file in files:
        assert len({sha256(tmp_path / folder / file) for folder in "abc"}) == 1


@pytest.mark.parametrize("config", MODELS)
def test_a_category_never_seen_counts_as_missing(config, tmp_path: Path) -> None:
    model, test = fitted(config, "binary", tmp_path)
    unseen, missing = test.copy(), test.copy()
    unseen["c [x]"], missing["c [x]"] = "new", None
    assert np.array_equal(model.predict(unseen), model.predict(missing))


@pytest.mark.parametrize("config", MODELS)
@pytest.mark.parametrize("seen", [[0, 1], [0, 2]])
def test_a_class_without_training_rows_is_possible(config, seen: list[int]) -> None:
    examples = make("multiclass")
    parts = split(examples, SplitConfig(), 42)
    known = np.isin(examples.frame.y.to_numpy()[parts.train], seen)
    model = fit_model(config, examples, replace(parts, train=parts.train[known]), 7, 1)
    predicted = model.predict(examples.frame)
    assert predicted.shape == (600, 3)
    assert predicted.sum(axis=1) == pytest.approx(1)
    assert predicted[:, seen].sum(axis=1).mean() > 0.5


def test_preprocessing_is_learnt_from_training_rows_alone(tmp_path: Path) -> None:
    examples = make("binary")
    parts = split(examples, SplitConfig(), 42)
    poisoned = examples.frame.copy()
    poisoned.loc[poisoned.index[parts.test], "x"] = 1e9
    for folder, frame in (("clean", examples.frame), ("poisoned", poisoned)):
        model = fit_model(LinearConfig(), replace(examples, frame=frame), parts, 7, 1)
        save_model(model, tmp_path / folder)
    assert sha256(tmp_path / "clean/model.json") == sha256(tmp_path / "poisoned/model.json")


@pytest.mark.parametrize("config", MODELS)
def test_predictions_do_not_depend_on_how_a_column_is_held(config, tmp_path: Path) -> None:
    model, test = fitted(config, "binary", tmp_path)
    held = test.assign(**{"c [x]": pd.Categorical(test["c [x]"], [*"zyx", "w3", "w2", "w1", "w0"])})
    assert np.array_equal(model.predict(test), model.predict(held))
    single = [model.predict(test.iloc[[row]])[0] for row in range(20)]
    assert single == pytest.approx(model.predict(test)[:20])


@pytest.mark.parametrize("config", MODELS)
def test_batches_change_no_model(config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    predicted = []
    for folder, batch in (("whole", 10_000), ("parts", 64)):
        monkeypatch.setattr(encoding, "BATCH", batch)
        model, test = fitted(config, "binary", tmp_path / folder)
        predicted.append(model.predict(test))
    for file in (tmp_path / "whole").iterdir():
        assert sha256(file) == sha256(tmp_path / "parts" / file.name)
    # A product of matrices may add in another order; trees and averages may not.
    if config.name in ("boosting", "popularity"):
        assert np.array_equal(*predicted)
    assert predicted[0] == pytest.approx(predicted[1], rel=1e-4)


@pytest.mark.parametrize("content", ["", "{}", '{"format": 99}', '{"format": 1, "name": "x"}'])
def test_a_broken_model_file_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "model.json").write_text(content)
    with pytest.raises(UserError, match=r"model\.json"):
        load_model(tmp_path)
