"""Compose ``conf/`` into typed objects. A mistake is answered with the key and what is valid."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from ..errors import UserError, nearest
from .schema import BOUNDS, GROUPS, SECTIONS, STAGE, VARIANTS, Config, JobConfig, JobsConfig

PROJECT_ROOT = Path(__file__).resolve().parents[3]
CONF = PROJECT_ROOT / "conf"


class ConfigError(UserError):
    """A value of the configuration is wrong; ``key`` is its dotted path, as far as it is known."""

    def __init__(self, message: str, key: str = "") -> None:
        super().__init__(message)
        self.key = key


class UnknownKey(ConfigError):
    """The schema has no such key."""


class MissingValue(ConfigError):
    """A value that nobody gave."""


def load_config(overrides: Sequence[str] = ()) -> Config:
    """Compose ``conf/config.yaml`` with ``overrides`` as a command line would.

    Raises:
        UserError: an override names an unknown key or option, or a value has the wrong type.
    """
    return parse(_compose(list(overrides)), list(overrides))


def parse(cfg: DictConfig, overrides: list[str]) -> Config:
    """Check a composed configuration against the schema and return it as typed objects.

    Raises:
        UserError: as for :func:`load_config`.
    """
    cfg = cfg.copy()
    OmegaConf.set_struct(cfg, False)
    cfg["overrides"] = [each for each in overrides if not _of_the_runner(each)]
    try:
        resolved = OmegaConf.to_container(cfg, resolve=True)
    except OmegaConfBaseException as error:
        raise ConfigError(f"conf: {str(error).splitlines()[0]}", error.full_key or "") from error
    assert isinstance(resolved, dict)
    known = {*VARIANTS, *SECTIONS, *STAGE, "seed", "dry_run", "overrides"}
    for key in resolved:
        if key not in known:
            raise UnknownKey(_unknown_key(str(key), "", known), str(key))
    for name in (*VARIANTS, *SECTIONS, *STAGE):
        if not isinstance(resolved.get(name), dict):
            what = f"{name}: missing; choose an option in the defaults, or write it."
            raise ConfigError(what, name)
    parts: dict[str, Any] = {"overrides": overrides}
    for name, (decider, schemas) in VARIANTS.items():
        choice = resolved[name].get(decider)
        if choice not in schemas:
            options = ", ".join(schemas)
            raise ConfigError(
                f"{name}.{decider}={choice}: unknown. Valid: {options}.{nearest(choice, schemas)}",
                f"{name}.{decider}",
            )
        parts[name] = _typed(schemas[choice], resolved[name], name)
    for name, schema in SECTIONS.items():
        parts[name] = _typed(schema, resolved[name], name)
    parts["stage"] = {name: _typed(each, resolved[name], name) for name, each in STAGE.items()}
    top = _typed(_Top, {key: resolved[key] for key in ("seed", "dry_run") if key in resolved}, "")
    config = Config(**parts, seed=top.seed, dry_run=top.dry_run)
    _check_bounds(config)
    return config


@dataclass
class _Top:
    seed: int = 42
    dry_run: bool = False


def _of_the_runner(override: str) -> bool:
    """Whether an override says how jobs are run, and so is nothing to a notebook's result."""
    return re.match(r"[+~]*(jobs|dry_run|hydra)\b", override) is not None


def _typed(schema: type, values: Mapping[str, Any], where: str) -> Any:
    """``values`` as an object of ``schema``; ``where`` is the dotted path of the section."""
    _check_keys(schema, values, where)
    values = _as_lists(schema, values)
    values = {f"{key}_" if keyword.iskeyword(key) else key: each for key, each in values.items()}
    try:
        return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(schema), _literal(values)))
    except MissingMandatoryValue as error:
        key = ".".join(filter(None, [where, error.full_key]))
        what = f"{key} is needed: give {key}=VALUE on the command line."
        raise MissingValue(what, key) from error
    except OmegaConfBaseException as error:
        key = ".".join(filter(None, [where, error.full_key])).rstrip("_")
        reason = str(error).splitlines()[0]
        raise ConfigError(
            f"{key}: {reason}. Expected {_expected(schema, error.full_key)}.", key
        ) from error


def _literal(value: Any) -> Any:
    """``value``, which is resolved, so that it is not resolved again: a name may hold ``${``."""
    if isinstance(value, Mapping):
        return {key: _literal(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_literal(each) for each in value]
    if isinstance(value, str):
        return re.sub(r"(\\*)\$\{", lambda found: found[1] * 2 + r"\${", value)
    return value


def _as_lists(schema: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """One name where a list of names is wanted is that list, as in ``jobs.only=train_model``."""
    wanted = {f.name.rstrip("_") for f in fields(schema) if str(f.type).startswith("list[str")}
    found: dict[str, Any] = {
        k: [v] if k in wanted and isinstance(v, str) else v for k, v in values.items()
    }
    if schema is JobsConfig:
        graph = found.get("graph") or {}
        found["graph"] = {name: _as_lists(JobConfig, job) for name, job in graph.items()}
    return found


def _check_keys(schema: type, values: Mapping[str, Any], where: str) -> None:
    known = {f.name.rstrip("_"): f for f in fields(schema)}
    for key, value in values.items():
        if key not in known:
            raise UnknownKey(_unknown_key(key, where, known), f"{where}.{key}" if where else key)
        default = known[key].default_factory
        if is_dataclass(default) and isinstance(default, type) and isinstance(value, Mapping):
            _check_keys(default, value, f"{where}.{key}")
    if schema is JobsConfig:
        for name, job in (values.get("graph") or {}).items():
            _check_keys(JobConfig, job, f"{where}.graph.{name}")


def _check_bounds(config: Config) -> None:
    for key, (valid, what) in BOUNDS.items():
        name, *rest = key.split(".")
        value = config.stage.get(name) or getattr(config, name, None)
        for part in rest:
            value = getattr(value, part, None)
        if value is not None and not valid(value):
            raise ConfigError(f"{key}={value}: must be {what}.", key)
    split = config.training.split
    if split.valid + split.test >= 0.95:
        raise ConfigError(
            f"training.split.valid={split.valid} and training.split.test={split.test} "
            "leave nothing to train on.",
            "training.split.valid",
        )


def _expected(schema: type, key: str | None) -> str:
    names = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text"}
    if schema is JobsConfig and (key or "").count(".") >= 2:  # graph.<name>.<key>
        schema, key = JobConfig, str(key).split(".", 2)[2]
    for part in re.split(r"[.\[]", key or ""):
        match = next((f for f in fields(schema) if f.name == part), None)
        if match is None:
            break
        if str(match.type).startswith("list["):
            return "a list, such as [a, b]"
        if isinstance(match.default_factory, type) and is_dataclass(match.default_factory):
            schema = match.default_factory
            continue
        return names.get(str(match.type), str(match.type))
    return "a value of the schema's type (src/*/config/schema.py)"


def compose_one(arguments: Sequence[str]) -> DictConfig | None:
    """The configuration of a command line that asks for one run, with Hydra's own below ``hydra``.

    None where there is more for Hydra to do than to compose: options such as ``-m``, a sweep, a
    working folder or callbacks of one's own, or a mistake, which it is better at naming.
    """
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    if any(each.startswith("-") for each in arguments):
        return None
    try:
        cfg = _hydra(list(arguments), whole=True)
    except Exception:
        return None
    own = cfg.hydra
    if own.mode not in (None, RunMode.RUN) or own.run.dir != "." or own.output_subdir is not None:
        return None
    if own.job.chdir or own.job.env_set or own.callbacks or own.verbose:
        return None
    if own.runtime.choices["hydra/job_logging"] != "disabled":
        return None
    HydraConfig.instance().set_config(cfg)  # for ${hydra:...}
    return cfg


def option(overrides: Sequence[str], group: str) -> str | None:
    """Which option of ``group``, a folder of ``conf/``, a command line chooses; None for none.

    Raises:
        UserError: as for :func:`load_config`.
    """
    found = _compose(list(overrides), whole=True).hydra.runtime.choices.get(group)
    return None if found is None else str(found)


def _compose(overrides: list[str], whole: bool = False) -> DictConfig:
    try:
        return _hydra(overrides, whole)
    except Exception as error:
        explained = message(error, overrides)
        if explained is None:
            raise
        raise UserError(explained) from error


def _hydra(overrides: list[str], whole: bool = False) -> DictConfig:
    """What Hydra composes; ``whole`` with its own configuration."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.initialize import get_gh_backup, restore_gh_from_backup

    # A command line that is running has Hydra in use already; it gets its own back afterwards.
    before = get_gh_backup()
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            return compose("config", overrides=overrides, return_hydra_config=whole)
    finally:
        restore_gh_from_backup(before)


def message(error: BaseException, overrides: list[str]) -> str | None:
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
            composed = _compose([o for o in overrides if o.partition("=")[0] in GROUPS])
            found = OmegaConf.select(composed, parent) if parent else composed
            known = [str(each) for each in found or () if each != "overrides"]
            job = re.fullmatch(r"jobs\.graph\.\w+", parent)
            if job and found is not None and key in {f.name for f in fields(JobConfig)}:
                return (
                    f"{parent}.{key}: not written in conf/jobs. To add it: +{parent}.{key}=VALUE."
                )
            return _unknown_key(key, parent, known)
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
