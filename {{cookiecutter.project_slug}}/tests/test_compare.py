"""Comparison of runs: what they are called, which scores are shown, and a picture of any size."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from matplotlib.image import imread

from {{cookiecutter.package_name}}.config import load_config
from {{cookiecutter.package_name}}.errors import UserError
from {{cookiecutter.package_name}}.runs import open_run
from {{cookiecutter.package_name}}.runs.__main__ import main as command
from {{cookiecutter.package_name}}.runs.compare import (
    compared,
    draw,
    labels,
)

BOOSTING = ["data=shop", "features=all", "model=boosting", "seed=42"]
LINEAR = ["data=shop", "features=all", "model=linear", "seed=42"]


def manifest(*overrides: str, value: float = 0.7, kind: str = "train") -> dict[str, Any]:
    """Of a run with these overrides, as far as a comparison looks at it."""
    config = load_config(overrides or BOOSTING).to_dict()
    own = config["model"]["name"]
    names = [f"{part}.{own}" for part in ("valid", "test")]
    return {
        "id": f"20260101-000000-{kind}-{abs(hash((overrides, value))) % 65536:04x}",
        "kind": kind,
        "config": config,
        "git": {"commit": "a" * 40, "dirty": False, "diff_sha256": None},
        "environment": {"lock_sha256": "b" * 64},
        "inputs": {},
        "metrics": {f"{name}.auc": value for name in names} | {"valid.popularity.auc": 0.6},
        "intervals": {f"{name}.auc": [value - 0.05, value + 0.02] for name in names},
    }


def test_runs_are_called_by_what_differs_and_not_by_what_most_share() -> None:
    found = labels(
        [
            manifest(*BOOSTING),
            manifest(*BOOSTING, "seed=7"),
            manifest(*BOOSTING, "model.max_depth=3"),
            manifest(*BOOSTING, "training.threads=1", "data.users=50"),
        ]
    )
    assert found[1:] == ["seed=7", "max_depth=3", "users=50"]
    assert found[0].startswith("as most (")


def test_settings_are_compared_between_models_that_have_them() -> None:
    models = [manifest(*BOOSTING), manifest(*LINEAR), manifest(*LINEAR, "model.l2=9")]
    assert labels(models) == ["model=boosting", "model=linear l2=1.0", "model=linear l2=9.0"]


def test_equal_settings_are_told_apart_by_code_and_then_by_id() -> None:
    one, other, dirty = manifest(value=0.1), manifest(value=0.2), manifest(value=0.3)
    dirty["git"] = {"commit": "a" * 40, "dirty": True, "diff_sha256": "c" * 64}
    found = labels([one, other, dirty])
    assert found[2] == "code=aaaaaaa+ccccccc"
    assert len(set(found)) == 3


def test_scores_are_those_for_choosing_unless_all_runs_are_evaluations() -> None:
    (row,) = compared([manifest()])
    assert list(row.scores) == ["valid.auc"]
    assert row.scores["valid.auc"].baselines == {"popularity": 0.6}
    assert row.scores["valid.auc"].interval == pytest.approx((0.65, 0.72))
    assert list(compared([manifest(kind="evaluate")])[0].scores) == ["test.auc"]
    assert list(compared([manifest()], "test.auc")[0].scores) == ["test.auc"]


def test_an_undefined_metric_is_no_score() -> None:
    run = manifest()
    run["metrics"]["valid.boosting.gain"] = None
    run["intervals"]["valid.boosting.auc"] = [None, 0.7]
    (row,) = compared([run])
    assert list(row.scores) == ["valid.auc"]
    assert row.scores["valid.auc"].interval is None


def test_a_misspelt_metric_is_answered_with_the_nearest() -> None:
    with pytest.raises(UserError, match="Did you mean 'auc'"):
        compared([manifest()], "auk")


@pytest.mark.parametrize("count", [1, 2, 30])
def test_the_picture_has_room_for_every_run(count: int) -> None:
    run = manifest(*BOOSTING)
    runs = [run | {"config": run["config"] | {"seed": number}} for number in range(count)]
    rows = compared(runs)
    height, width = imread(io.BytesIO(draw(rows)), format="png").shape[:2]
    assert height > 25 * count
    assert draw(rows) == draw(rows)
    assert width < 2500


def test_the_command_writes_a_table_and_a_picture(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_run("jobs", load_config(BOOSTING)) as jobs:
        pass
    for seed in (1, 2):
        monkeypatch.setenv("JOB_RUN", jobs.id)
        with open_run("train", load_config([*LINEAR, f"seed={seed}"])) as run:
            run.metrics["valid.linear.auc"] = 0.5 + seed / 10
            run.intervals["valid.linear.auc"] = (0.5, 0.8)
    with pytest.raises(ValueError), open_run("train", load_config(LINEAR)) as broken:
        broken.metrics["valid.linear.auc"] = 0.9
        raise ValueError
    for arguments in (["compare"], ["compare", jobs.id, "--out", str(runs / "x.png")]):
        monkeypatch.setattr("sys.argv", ["runs", *arguments])
        assert command() == 0
        shown = capsys.readouterr().out
        assert "seed=1" in shown and "0.7000" in shown and "±0.1500" in shown
        assert "0.9000" not in shown
        assert shown.splitlines()[1].split() == ["run", "auc"]
    assert (runs / "compare.png").read_bytes() == (runs / "x.png").read_bytes()


def test_without_runs_it_says_so(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["runs", "compare"])
    assert command() == 1
    assert not runs.exists()
