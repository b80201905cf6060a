"""The same configuration gives the same bytes, in processes that share nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from {{cookiecutter.package_name}}.config import PROJECT_ROOT, load_config
from {{cookiecutter.package_name}}.runs import find_run, read_manifest
from {{cookiecutter.package_name}}.workflow import evaluate, train

from .conftest import SHOP, SMALL

PACKAGE = train.__module__.split(".")[0]
RESULT = ("model/", "predictions.parquet", "metrics.json", "comparison.json")


# All that may differ around a run on one machine.
SURROUNDINGS = {
    "PYTHONHASHSEED": "7",
    "OPENBLAS_NUM_THREADS": "2",
    "OMP_NUM_THREADS": "1",
    "THREADS": "1",
    "TZ": "Asia/Kathmandu",
    "LC_ALL": "tr_TR.UTF-8",
    "LANG": "de_DE.UTF-8",
}


def run_apart(
    kind: str, *overrides: str, cwd: Path = PROJECT_ROOT, **environment: str
) -> dict[str, str]:
    """Run a command in a process of its own; the hashes of what it made."""
    done = subprocess.run(
        [sys.executable, "-m", f"{PACKAGE}.{kind}", *SMALL, *overrides],
        capture_output=True,
        text=True,
        env=os.environ | environment,
        cwd=cwd,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    outputs = read_manifest(find_run("latest", kind))["outputs"]
    return {n: d for n, d in outputs.items() if kind != "train" or n.startswith(RESULT)}


def test_jobs_give_the_same_bytes_whatever_surrounds_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run_apart("jobs")
    monkeypatch.setenv("RUNS_DIR", str(tmp_path / "other runs"))
    again = run_apart("jobs", "jobs.workers=1", cwd=tmp_path, **SURROUNDINGS)
    assert len(first) == 9
    assert first == again


def test_training_twice_gives_the_same_bytes_and_another_seed_does_not(tmp_path: Path) -> None:
    first = run_apart("train", "seed=42")
    again = run_apart("train", "seed=42", cwd=tmp_path, **SURROUNDINGS)
    other = run_apart("train", "seed=43")
    assert len(first) == 5
    assert first == again
    assert first["model/booster.ubj"] != other["model/booster.ubj"]
    assert first["predictions.parquet"] != other["predictions.parquet"]


def test_evaluating_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    run_apart("train")
    first = run_apart("evaluate")
    again = run_apart("evaluate", cwd=tmp_path, **SURROUNDINGS)
    assert {"slices.csv", "decision.json", "comparison.json"} <= set(first)
    assert first == again


@pytest.mark.parametrize("model", ["linear", "popularity"])
def test_other_models_train_from_the_same_configuration(model: str) -> None:
    result = train(load_config([*SHOP, f"model={model}"]))
    assert result.evaluation.scores["valid"][model]["roc_auc"] > 0.55


def test_training_judges_validation_rows_and_evaluation_test_rows() -> None:
    trained = train(load_config(SMALL))
    judged = evaluate(load_config([f"evaluation.run={trained.run}"]))
    for result, part in ((trained, "valid"), (judged, "test")):
        assert set(result.evaluation.scores) == set(result.evaluation.predictions) == {part}
        assert {name.split(".")[0] for name in read_manifest(result.folder)["metrics"]} == {part}
        predicted = pd.read_parquet(result.folder / "predictions.parquet")
        assert set(predicted.part) == {part}
        assert len(predicted) == len(result.split.parts()[part])


def test_a_saved_model_is_judged_as_it_was_when_trained() -> None:
    trained = train(load_config(SMALL))
    judged = evaluate(load_config([f"evaluation.run={trained.run}"]))
    rows = trained.split.test
    own = trained.model.predict(trained.examples.frame.iloc[rows])
    assert (judged.evaluation.predictions["test"]["boosting"] == own).all()
    moved = [*SHOP, f"evaluation.run={trained.run}", "data.drift.day=21", "data.drift.strength=1"]
    assert evaluate(load_config(moved)).evaluation.scores != judged.evaluation.scores


def test_a_sweep_makes_one_run_for_each_value(runs: Path) -> None:
    command = [sys.executable, "-m", f"{PACKAGE}.train", "-m", *SHOP, "model=popularity"]
    done = subprocess.run(
        [*command, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "seed=1,2"],
        capture_output=True,
        text=True,
        cwd=PROJECT_ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = {read_manifest(folder)["seeds"]["seed"] for folder in runs.glob("*-train-*")}
    assert found == {1, 2}
    assert len(list(runs.glob("sweeps/*/multirun.yaml"))) == 1
    assert not (PROJECT_ROOT / "multirun.yaml").exists()


def test_torch_draws_and_adds_the_same_again() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from {{cookiecutter.package_name}}.training.seeds import settle_torch

    def made() -> bytes:
        settle_torch(42, "model")
        layer = torch.nn.Linear(64, 64)
        return bytes(layer(torch.randn(256, 64)).detach().numpy().tobytes())

    assert made() == made()
    assert torch.are_deterministic_algorithms_enabled()
