"""The typed schema of ``conf/``: what may be set, of which type, within which bounds."""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

MISSING: Any = "???"


@dataclass
class DriftConfig:
    day: int | None = None
    strength: float = 0.5


@dataclass
class ShopConfig:
    kind: str = "shop"
    users: int = 1000
    days: int = 28
    items: int = 400
    categories: int = 12
    visits: float = 5.0
    slate: int = 20
    start: str = "2026-01-05"
    seed: int = 42
    shard_users: int = 500
    drift: DriftConfig = field(default_factory=DriftConfig)


@dataclass
class ReadConfig:
    """How a table that is text is read; None is found out."""

    delimiter: str | None = None
    encoding: str | None = None
    decimal: str | None = None
    header: bool | None = None
    columns: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


@dataclass
class TableConfig:
    kind: str = "table"
    path: str = MISSING
    table: str | None = None
    read: ReadConfig = field(default_factory=ReadConfig)
    contract: str | None = None
    target: str = MISSING
    task: str = "auto"
    id: list[str] = field(default_factory=list)
    group: str | None = None
    recurring: bool = False
    time: str | None = None
    exclude: list[str] = field(default_factory=list)
    keep: list[str] = field(default_factory=list)


@dataclass
class FeaturesConfig:
    include: list[str] = field(default_factory=lambda: ["*"])
    exclude: list[str] = field(default_factory=list)


@dataclass
class BoostingConfig:
    name: str = "boosting"
    rounds: int = 400
    early_stopping: int = 30
    learning_rate: float = 0.08
    max_depth: int = 6
    min_child_weight: float = 5.0
    subsample: float = 0.8
    colsample: float = 0.8
    l2: float = 1.0


@dataclass
class LinearConfig:
    name: str = "linear"
    l2: float = 1.0
    max_iterations: int = 500


@dataclass
class NeuralConfig:
    name: str = "neural"
    epochs: int = 100
    early_stopping: int = 8
    learning_rate: float = 0.002
    batch: int = 256
    layers: int = 2
    width: int = 128
    dropout: float = 0.1
    weight_decay: float = 0.01


@dataclass
class PopularityConfig:
    name: str = "popularity"
    by: str = "item"
    prior_weight: float = 20.0


@dataclass
class SplitConfig:
    kind: str = "auto"
    valid: float = 0.25
    test: float = 0.25
    gap: float = 0.0
    duplicates: str = "together"


@dataclass
class TrainingConfig:
    split: SplitConfig = field(default_factory=SplitConfig)
    sample: int | None = 1_000_000
    rows: int | None = 10_000_000
    threads: int = 2
    ranks: int = 1
    device: str = "auto"


@dataclass
class CostsConfig:
    """What a wrong decision costs, in any one unit; only their ratio matters for the threshold."""

    false_positive: float = 1.0
    false_negative: float = 1.0


@dataclass
class EvaluationConfig:
    run: str = "latest"
    against: str | None = None
    top_k: int = 10
    bins: int = 10
    resamples: int = 200
    slices: list[str] = field(default_factory=list)
    costs: CostsConfig = field(default_factory=CostsConfig)
    card_examples: str = "keys"
    folds: int = 5
    repeats: int = 2


@dataclass
class TuningConfig:
    """``space`` holds, nested as the configuration itself, what each setting may be."""

    trials: int = 30
    jobs: int = 1
    batch: int = 4
    sampler: str = "tpe"
    pruner: str = "median"
    warmup: int = 50
    patience: int | None = None
    space: dict[str, Any] = field(default_factory=dict)


@dataclass
class JobConfig:
    notebook: str = MISSING
    needs: list[str] = field(default_factory=list)
    parameters: dict[str, Any] = field(default_factory=dict)
    inputs: list[str | None] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    timeout: float = 600
    memory: int | None = None
    retries: int = 0
    audience: str = "technical"


@dataclass
class JobsConfig:
    """``from_`` is written ``from`` in files and on the command line; Python keeps that word."""

    engine: str = "kernel"
    workers: int = 2
    only: list[str] = field(default_factory=list)
    from_: list[str] = field(default_factory=list)
    force: bool = False
    graph: dict[str, JobConfig] = field(default_factory=dict)


@dataclass
class EngineConfig:
    """What runs work that is divided into parts: ``name`` is a module of ``engines/``."""

    name: str = "local"
    workers: int = 2
    memory: int = 1600
    address: str | None = None
    options: dict[str, Any] = field(default_factory=dict)


class Section:
    """A folder of ``conf/`` that a stage adds. Its dataclass is the only one in the module of its
    name here, ``TrackingConfig`` of ``tracking.py``; a ``BOUNDS`` beside it is as the one below."""

    def run_ended(self, folder: Path) -> None:
        """Called when a run has ended, however it did, with its folder. Must not fail."""


DataConfig = ShopConfig | TableConfig
# Every model there is: the settings `NameConfig` belong to the class `Name` of training/models.
ModelConfig = BoostingConfig | LinearConfig | NeuralConfig | PopularityConfig


@dataclass
class Config:
    """Everything a run depends on, resolved and checked."""

    data: DataConfig
    features: FeaturesConfig
    model: ModelConfig
    training: TrainingConfig
    jobs: JobsConfig
    evaluation: EvaluationConfig
    tuning: TuningConfig
    engine: EngineConfig
    seed: int
    dry_run: bool
    overrides: list[str]
    stage: dict[str, Any] = field(default_factory=dict)  # sections that a stage adds, by name

    def to_dict(self) -> dict[str, Any]:
        """The configuration as plain values, for a manifest."""
        plain = _plain(self)
        assert isinstance(plain, dict)
        return plain | plain.pop("stage")

    def to_yaml(self) -> str:
        """The configuration as it would be written in one file."""
        from omegaconf import OmegaConf

        return OmegaConf.to_yaml(OmegaConf.create(self.to_dict())).rstrip()


# The sections that hold one of several schemas, the key that decides, and the schemas by its value.
VARIANTS: dict[str, tuple[str, dict[str, type]]] = {
    "data": ("kind", {each.kind: each for each in get_args(DataConfig)}),
    "model": ("name", {each.name: each for each in get_args(ModelConfig)}),
}
SECTIONS: dict[str, type] = {
    "features": FeaturesConfig,
    "training": TrainingConfig,
    "jobs": JobsConfig,
    "evaluation": EvaluationConfig,
    "tuning": TuningConfig,
    "engine": EngineConfig,
}
# Values a type alone cannot bound: key -> (test, what would be valid).
BOUNDS: dict[str, tuple[Callable[[Any], object], str]] = {
    "data.users": (lambda v: v >= 1, "1 or more"),
    "data.days": (lambda v: v >= 4, "4 or more, so that there is something to hold back"),
    "data.items": (lambda v: v >= 2, "2 or more"),
    "data.categories": (lambda v: 1 <= v <= 64, "1 to 64"),
    "data.visits": (lambda v: v >= 1, "1 or more"),
    "data.slate": (lambda v: 2 <= v <= 1000, "2 to 1000"),
    "data.shard_users": (lambda v: v >= 1, "1 or more"),
    "data.start": (lambda v: re.fullmatch(r"\d{4}-\d\d-\d\d", v), "a day such as 2026-01-05"),
    "data.drift.strength": (lambda v: 0 <= v <= 1, "0 to 1"),
    "data.task": (
        lambda v: v in ("auto", "binary", "multiclass", "regression"),
        "auto, binary, multiclass or regression",
    ),
    "model.rounds": (lambda v: v >= 1, "1 or more"),
    "model.early_stopping": (lambda v: v >= 1, "1 or more"),
    "model.max_depth": (lambda v: 1 <= v <= 30, "1 to 30"),
    "model.learning_rate": (lambda v: 0 < v <= 1, "more than 0, at most 1"),
    "model.subsample": (lambda v: 0 < v <= 1, "more than 0, at most 1"),
    "model.colsample": (lambda v: 0 < v <= 1, "more than 0, at most 1"),
    "model.l2": (lambda v: v >= 0, "0 or more"),
    "model.prior_weight": (lambda v: v > 0, "more than 0"),
    "model.max_iterations": (lambda v: v >= 1, "1 or more"),
    "model.epochs": (lambda v: v >= 1, "1 or more"),
    "model.batch": (lambda v: v >= 1, "1 or more"),
    "model.layers": (lambda v: 1 <= v <= 16, "1 to 16"),
    "model.width": (lambda v: 1 <= v <= 4096, "1 to 4096"),
    "model.dropout": (lambda v: 0 <= v < 1, "0 or more, less than 1"),
    "model.weight_decay": (lambda v: 0 <= v <= 1, "0 to 1"),
    "training.sample": (lambda v: v >= 1, "1 or more, or null for all rows"),
    "training.rows": (lambda v: v >= 1, "1 or more, or null for all rows"),
    "training.threads": (lambda v: v >= 1, "1 or more"),
    "training.ranks": (lambda v: v >= 1, "1 or more"),
    "training.split.kind": (
        lambda v: v in ("auto", "time", "group", "stratified", "random"),
        "auto, time, group, stratified or random",
    ),
    "training.split.valid": (lambda v: 0 < v < 0.9, "between 0 and 0.9"),
    "training.split.test": (lambda v: 0 < v < 0.9, "between 0 and 0.9"),
    "training.split.gap": (lambda v: v >= 0, "0 or more, in days (or in the unit of data.time)"),
    "training.split.duplicates": (
        lambda v: v in ("together", "apart"),
        "together (on one side of the split) or apart (wherever they fall)",
    ),
    "training.device": (lambda v: v in ("auto", "cpu", "cuda"), "auto, cpu or cuda"),
    "evaluation.top_k": (lambda v: v >= 1, "1 or more"),
    "evaluation.resamples": (lambda v: 50 <= v <= 10_000, "50 to 10000"),
    "evaluation.card_examples": (
        lambda v: v in ("keys", "features", "none"),
        "keys, features or none",
    ),
    "evaluation.costs.false_positive": (lambda v: v > 0, "more than 0"),
    "evaluation.costs.false_negative": (lambda v: v > 0, "more than 0"),
    "evaluation.folds": (lambda v: 2 <= v <= 50, "2 to 50"),
    "evaluation.repeats": (lambda v: 1 <= v <= 100, "1 to 100"),
    "evaluation.bins": (lambda v: 2 <= v <= 100, "2 to 100"),
    "tuning.trials": (lambda v: v >= 2, "2 or more: the first is the configuration as it stands"),
    "tuning.jobs": (lambda v: v >= 1, "1 or more"),
    "tuning.batch": (lambda v: v >= 1, "1 or more"),
    "tuning.sampler": (lambda v: v in ("tpe", "random"), "tpe or random"),
    "tuning.pruner": (lambda v: v in ("median", "none"), "median or none"),
    "tuning.warmup": (lambda v: v >= 0, "0 or more"),
    "tuning.patience": (lambda v: v >= 1, "1 or more"),
    "jobs.workers": (lambda v: v >= 1, "1 or more"),
    "jobs.engine": (lambda v: v in ("kernel", "inprocess"), "kernel or inprocess"),
    "engine.workers": (lambda v: v >= 1, "1 or more"),
    "engine.memory": (lambda v: v >= 400, "400 or more, in MiB, for all workers together"),
    "seed": (lambda v: 0 <= v < 2**32, "0 to 4294967295"),
}
STAGE: dict[str, type] = {}  # the sections that a stage adds
for _each in pkgutil.iter_modules([str(Path(__file__).parent)]):
    if _each.name not in ("cli", "load", "schema"):
        _module = import_module(f".{_each.name}", __package__)
        STAGE[_each.name] = getattr(_module, f"{_each.name.title()}Config")
        BOUNDS |= getattr(_module, "BOUNDS", {})
# The folders of conf/
GROUPS = ("data", "features", "model", "training", "tuning", "jobs", "engine", *STAGE)


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name.rstrip("_"): _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value
