"""What tests of tracking share: finished runs, made without training."""

from __future__ import annotations

import json
from pathlib import Path

from {{cookiecutter.package_name}}.config import Config, load_config
from {{cookiecutter.package_name}}.data.examples import Schema
from {{cookiecutter.package_name}}.runs import open_run
from {{cookiecutter.package_name}}.training.models import save_model
from {{cookiecutter.package_name}}.training.models.popularity import Popularity

SHOP = ["data=shop", "features=all", "data.users=120", "data.shard_users=50", "model=linear"]
SCHEMA = Schema("binary", "click", {"price": "numeric", "device": "categorical"})


def config(*overrides: str) -> Config:
    return load_config([*SHOP, "tracking=mlflow", *overrides])


def finished(settings: Config, kind: str = "train", model: str = "a" * 12) -> Path:
    """A run of the shape that ``kind`` has, in milliseconds; its folder."""
    with open_run(kind, settings) as run:
        run.metrics |= {"valid.linear.roc_auc": 0.7, "odd/name!": 1.0, "undefined": None}
        run.intervals["valid.linear.roc_auc"] = (0.6, 0.8)
        run.model = model
        run.write_json("comparison.json", {})
        run.write_json("plots/roc.json", {})
        (run.path / "predictions.parquet").write_bytes(b"rows of people")
        if kind == "train":
            save_model(Popularity(SCHEMA, None, [0.25], {}), run.path / "model")
    return run.path


def judged(settings: Config, model: str, against: str, verdict: str = "better") -> Path:
    """An ``evaluate`` run that found the model ``verdict`` than ``against``."""
    difference = {"value": 0.02, "low": 0.01, "high": 0.03, "verdict": verdict}
    with open_run("evaluate", settings) as run:
        run.model = model
        run.write_json("comparison.json", {"test": {against: {"roc_auc": difference}}})
    return run.path


def note(run: Path) -> dict:
    path = run / ".tracking.json"
    return json.loads(path.read_text()) if path.is_file() else {}
