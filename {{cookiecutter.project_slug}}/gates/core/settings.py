"""What ``[tool.gates]`` of pyproject.toml says, and what the command line changes of it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, fields, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, get_type_hints

from .rules import Rule, matches
from .spelling import near


class BadSettings(Exception):
    """pyproject.toml says something of the gates that they do not know."""


@dataclass(frozen=True)
class Settings:
    """How the gates work in this repository; keys are written with ``-`` in the file."""

    package: str = ""  # whose configuration is composed; without one CF5 is skipped
    layout: str = "any"  # project: notebooks tell their story in the project's order
    paths: tuple[str, ...] = (".",)  # what is looked at when no file is named
    select: tuple[str, ...] = ()  # rules or families; empty: all but those that are opt-in
    ignore: tuple[str, ...] = ()
    per_path: dict[str, tuple[str, ...]] = field(default_factory=dict)  # pattern: rules ignored
    baseline: str = ".gates-baseline.json"  # findings that were there when gates were adopted
    cell_lines: int = 50  # a longer cell belongs into src/
    function_lines: int = 20  # a longer function of a notebook, likewise
    embedded_kb: int = 100  # data inside a notebook
    data_kb: int = 1000  # a data file in git

    def wants(self, rule: Rule) -> bool:
        if matches(rule, self.ignore) or (rule.story and self.layout == "any"):
            return False
        if not self.select or rule.always:
            return not rule.opt_in
        return matches(rule, self.select)

    def reports(self, rule: Rule, path: Path) -> bool:
        """Whether the rule is asked for, and not ignored for this file by ``per-path``."""
        name = path.as_posix()
        return self.wants(rule) and not any(
            fnmatch(name, pattern) and matches(rule, prefixes)
            for pattern, prefixes in self.per_path.items()
        )


def load(root: Path, **changes: Any) -> Settings:
    """The settings of the repository at ``root``, with the ``changes`` that are not None.

    Raises:
        BadSettings: an unknown key, or a value of another type.
    """
    path = root / "pyproject.toml"
    values: dict[str, Any] = {}
    if path.is_file():
        try:
            tool = tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {})
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise BadSettings(f"{path}: {error}") from error
        values = {
            _field(path, key): _value(path, key, value)
            for key, value in tool.get("gates", {}).items()
        }
    values |= {key: value for key, value in changes.items() if value is not None}
    settings = replace(Settings(), **values)
    if settings.layout not in ("any", "project"):
        raise BadSettings(f"layout is '{settings.layout}'; it can be 'any' or 'project'")
    return settings


def _field(path: Path, key: str) -> str:
    names = [item.name.replace("_", "-") for item in fields(Settings)]
    if key not in names:
        raise BadSettings(f"{path}: [tool.gates] has no '{key}'{near(key, names)}")
    return key.replace("-", "_")


def _value(path: Path, key: str, value: Any) -> Any:
    kind = str(get_type_hints(Settings)[key.replace("-", "_")])
    if kind.startswith("tuple"):
        good = isinstance(value, list)
    elif kind.startswith("dict"):
        good = isinstance(value, dict) and all(isinstance(each, list) for each in value.values())
    else:
        good = f"<class '{type(value).__name__}'>" == kind
    if not good:
        raise BadSettings(f"{path}: [tool.gates] {key} = {value!r} is not of the right type")
    if isinstance(value, dict):
        return {pattern: tuple(map(str, rules)) for pattern, rules in value.items()}
    return tuple(map(str, value)) if isinstance(value, list) else value
