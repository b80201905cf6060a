"""The typed schema of ``conf/`` and the two ways into it: a command line and a function.

A misspelt key, an unknown option or a value of the wrong type is a :class:`UserError` that names
the key and what would have been valid.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, NoReturn

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from .errors import UserError, nearest

PROJECT_ROOT = Path(__file__).resolve().parents[2]
CONF = PROJECT_ROOT / "conf"
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
class TableConfig:
    kind: str = "table"
    path: str = MISSING
    target: str = MISSING
    task: str = "auto"
    group: str | None = None
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
class PopularityConfig:
    name: str = "popularity"
    by: str = "item"
    prior_weight: float = 20.0


@dataclass
class SplitConfig:
    kind: str = "auto"
    valid: float = 0.25
    test: float = 0.25


@dataclass
class TrainingConfig:
    split: SplitConfig = field(default_factory=SplitConfig)
    threads: int = 2


@dataclass
class EvaluationConfig:
    run: str = "latest"
    top_k: int = 10
    bins: int = 10


@dataclass
class JobConfig:
    notebook: str = MISSING
    needs: list[str] = field(default_factory=list)
    parameters: dict[str, Any] = field(default_factory=dict)
    timeout: int = 600
    audience: str = "technical"


@dataclass
class JobsConfig:
    workers: int = 2
    only: list[str] = field(default_factory=list)
    graph: dict[str, JobConfig] = field(default_factory=dict)


DataConfig = ShopConfig | TableConfig
ModelConfig = BoostingConfig | LinearConfig | PopularityConfig


@dataclass
class Config:
    """Everything a run depends on, resolved and checked."""

    data: DataConfig
    features: FeaturesConfig
    model: ModelConfig
    training: TrainingConfig
    jobs: JobsConfig
    evaluation: EvaluationConfig
    seed: int
    overrides: list[str]

    def to_dict(self) -> dict[str, Any]:
        """The configuration as plain values, for a manifest."""
        plain = OmegaConf.to_container(OmegaConf.create(_plain(self)))
        assert isinstance(plain, dict)
        return {str(key): value for key, value in plain.items()}


# The sections that hold one of several schemas, the key that decides, and the schemas by its value.
VARIANTS: dict[str, tuple[str, dict[str, type]]] = {
    "data": ("kind", {"shop": ShopConfig, "table": TableConfig}),
    "model": (
        "name",
        {"boosting": BoostingConfig, "linear": LinearConfig, "popularity": PopularityConfig},
    ),
}
SECTIONS: dict[str, type] = {
    "features": FeaturesConfig,
    "training": TrainingConfig,
    "jobs": JobsConfig,
    "evaluation": EvaluationConfig,
}
_GROUPS = ("data", "features", "model", "training", "jobs")  # the folders of conf/
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
    "training.threads": (lambda v: v >= 1, "1 or more"),
    "training.split.kind": (
        lambda v: v in ("auto", "time", "group", "stratified", "random"),
        "auto, time, group, stratified or random",
    ),
    "training.split.valid": (lambda v: 0 < v < 0.9, "between 0 and 0.9"),
    "training.split.test": (lambda v: 0 < v < 0.9, "between 0 and 0.9"),
    "evaluation.top_k": (lambda v: v >= 1, "1 or more"),
    "evaluation.bins": (lambda v: 2 <= v <= 100, "2 to 100"),
    "jobs.workers": (lambda v: v >= 1, "1 or more"),
    "seed": (lambda v: 0 <= v < 2**32, "0 to 4294967295"),
}


def load_config(overrides: Sequence[str] = ()) -> Config:
    """Compose ``conf/config.yaml`` with ``overrides`` as a command line would.

    Raises:
        UserError: an override names an unknown key or option, or a value has the wrong type.
    """
    return parse(_compose(list(overrides)), list(overrides))


def cli(task: Callable[[Config], None]) -> None:
    """Run ``task`` with the configuration of the command line; ``-m`` sweeps over values.

    Exit status: 0 done, 1 with one message when the user can mend it, 130 on Ctrl-C.
    """
    pin_environment()
    import hydra
    from hydra.core.hydra_config import HydraConfig

    # Hydra's own error printing hides the key; it raises instead, and we translate.
    os.environ["HYDRA_FULL_ERROR"] = "1"

    def run(cfg: DictConfig) -> None:
        try:
            task(parse(cfg, list(HydraConfig.get().overrides.task)))
        except UserError as error:  # here, before Hydra adds lines of its own
            _fail(str(error))

    run.__module__ = "__main__"
    try:
        hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")(run)()
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        message = _message(error, sys.argv[1:])
        if message is None:
            raise
        _fail(message)


def _fail(message: str) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(1)


def pin_environment() -> None:
    """Fix what a process can only be given at its start: the hash seed and BLAS threads.

    Set order depends on the hash seed and BLAS sums on the thread count, so a program that was
    started without them is started again, in place, with them.
    """
    wanted = {
        "PYTHONHASHSEED": "0",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "PASSIVE",  # waiting threads must not burn the cores of their neighbours
    }
    if any(os.environ.get(name) != value for name, value in wanted.items()):
        os.environ.update(wanted)
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def parse(cfg: DictConfig, overrides: list[str]) -> Config:
    """Check a composed configuration against the schema and return it as typed objects.

    Raises:
        UserError: as for :func:`load_config`.
    """
    cfg = cfg.copy()
    OmegaConf.set_struct(cfg, False)
    cfg["overrides"] = overrides
    try:
        resolved = OmegaConf.to_container(cfg, resolve=True)
    except OmegaConfBaseException as error:
        raise UserError(f"conf: {str(error).splitlines()[0]}") from error
    assert isinstance(resolved, dict)
    known = {*VARIANTS, *SECTIONS, "seed", "overrides"}
    for key in resolved:
        if key not in known:
            raise UserError(_unknown_key(str(key), "", known))
    parts: dict[str, Any] = {"overrides": overrides}
    for name, (decider, schemas) in VARIANTS.items():
        choice = resolved[name].get(decider)
        if choice not in schemas:
            options = ", ".join(schemas)
            raise UserError(
                f"{name}.{decider}={choice}: unknown. Valid: {options}.{nearest(choice, schemas)}"
            )
        parts[name] = _typed(schemas[choice], resolved[name], name)
    for name, schema in SECTIONS.items():
        parts[name] = _typed(schema, resolved[name], name)
    parts["seed"] = _typed(_Seed, {"seed": resolved["seed"]}, "").seed
    config = Config(**parts)
    _check_bounds(config)
    return config


@dataclass
class _Seed:
    seed: int = 42


def _typed(schema: type, values: Mapping[str, Any], where: str) -> Any:
    """``values`` as an object of ``schema``; ``where`` is the dotted path of the section."""
    _check_keys(schema, values, where)
    try:
        return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(schema), values))
    except MissingMandatoryValue as error:
        key = f"{where}.{error.full_key}" if where else error.full_key
        raise UserError(f"{key} is needed: give {key}=VALUE on the command line.") from error
    except OmegaConfBaseException as error:
        key = ".".join(filter(None, [where, error.full_key]))
        reason = str(error).splitlines()[0]
        raise UserError(
            f"{key}: {reason}. Expected {_expected(schema, error.full_key)}."
        ) from error


def _check_keys(schema: type, values: Mapping[str, Any], where: str) -> None:
    known = {f.name: f for f in fields(schema)}
    for key, value in values.items():
        if key not in known:
            raise UserError(_unknown_key(key, where, known))
        default = known[key].default_factory
        if is_dataclass(default) and isinstance(default, type) and isinstance(value, Mapping):
            _check_keys(default, value, f"{where}.{key}")
    if schema is JobsConfig:
        for name, job in (values.get("graph") or {}).items():
            _check_keys(JobConfig, job, f"{where}.graph.{name}")


def _check_bounds(config: Config) -> None:
    for key, (valid, what) in BOUNDS.items():
        value: Any = config
        for part in key.split("."):
            value = getattr(value, part, None)
        if value is not None and not valid(value):
            raise UserError(f"{key}={value}: must be {what}.")
    split = config.training.split
    if split.valid + split.test >= 0.95:
        raise UserError(
            f"training.split.valid={split.valid} and training.split.test={split.test} "
            "leave nothing to train on."
        )


def _expected(schema: type, key: str | None) -> str:
    names = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text"}
    for part in (key or "").split("."):
        match = next((f for f in fields(schema) if f.name == part), None)
        if match is None:
            break
        if isinstance(match.default_factory, type) and is_dataclass(match.default_factory):
            schema = match.default_factory
            continue
        return names.get(str(match.type), str(match.type))
    return "a value of the schema's type (src/*/config.py)"


def _compose(overrides: list[str]) -> DictConfig:
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.initialize import get_gh_backup, restore_gh_from_backup

    # A command line that is running has Hydra in use already; it gets its own back afterwards.
    before = get_gh_backup()
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            return compose("config", overrides=overrides)
    except Exception as error:
        message = _message(error, overrides)
        if message is None:
            raise
        raise UserError(message) from error
    finally:
        restore_gh_from_backup(before)


def _message(error: BaseException, overrides: list[str]) -> str | None:
    """What to tell a person about ``error``; None when it is not theirs to mend."""
    from hydra.errors import HydraException, MissingConfigException, OverrideParseException

    chain: list[BaseException] = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(cause)
    for link in chain:
        if isinstance(link, UserError):
            return str(link)
    for link in chain:
        if isinstance(link, OverrideParseException):
            key, equals, value = str(link.override).partition("=")
            if not equals:
                return f"{key}: an override is written KEY=VALUE."
            return (
                f"{key}: the value cannot be read as it stands. "
                f"""Give it quotes of its own: '{key}="{value}"'"""
            )
        if isinstance(link, MissingConfigException) and link.missing_cfg_file:
            return _unknown_option(str(link.missing_cfg_file), link.options or [])
    for link in chain:
        if isinstance(link, OmegaConfBaseException) and link.full_key:
            parent, _, key = str(link.full_key).rpartition(".")
            # The same options chosen, nothing else changed: what is valid depends on them.
            composed = _compose([o for o in overrides if o.partition("=")[0] in _GROUPS])
            found = OmegaConf.select(composed, parent) if parent else composed
            return _unknown_key(key, parent, list(found or []))
    if any(isinstance(link, HydraException) for link in chain):
        return " ".join(str(error).split())
    return None


def _unknown_option(missing: str, options: Iterable[str]) -> str:
    group, _, option = missing.rpartition("/")
    return (
        f"{group}={option}: there is no such option. "
        f"Valid: {', '.join(sorted(options))}.{nearest(option, options)}"
    )


def _unknown_key(key: str, parent: str, known: Iterable[str]) -> str:
    full = f"{parent}.{key}" if parent else key
    return (
        f"{full}: there is no such key. "
        f"Valid here: {', '.join(sorted(map(str, known)))}.{nearest(key, known)}"
    )


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return value
