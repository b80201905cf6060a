"""CF501-CF503: the configuration composes, whichever option is chosen, and its jobs can start."""

from __future__ import annotations

import argparse
import importlib
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from .notebooks import Finding, Rule, report

SEE = "Mend the value, or the schema in src/*/config/schema.py"
CF501 = Rule(
    "CF501",
    "the configuration does not compose",
    "no command of the project would start",
    SEE,
)
CF502 = Rule(
    "CF502",
    "the option does not compose",
    "whoever chooses it finds out last, perhaps in production",
    SEE,
)
CF503 = Rule(
    "CF503",
    "a job cannot be planned",
    "a notebook, parameter or need that does not exist stops the run",
    "Mend conf/jobs/ or the notebook",
)
RULES = (CF501, CF502, CF503)

CONF = Path("conf")


def check(package: str) -> Iterator[Finding]:
    """Compose ``conf/`` with the package's own loader: as it stands, then with every option."""
    load = importlib.import_module(f"{package}.config").load_config
    plan = importlib.import_module(f"{package}.jobs.spec").make_plan
    entry = CONF / "config.yaml"
    try:
        load([])
    except Exception as error:
        yield Finding(CF501, entry, _first_line(error))
        return
    for path in sorted(CONF.rglob("*.yaml")):
        group = path.parent.relative_to(CONF).as_posix()
        if group == "." or group.split("/")[0] == "hydra":
            continue
        try:
            config = load([f"{group}={path.stem}", *_placeholders(path, group)])
        except Exception as error:
            yield Finding(CF502, path, _first_line(error))
            continue
        if group == "jobs":
            try:
                plan(config.jobs)
            except Exception as error:
                yield Finding(CF503, path, _first_line(error))


def _placeholders(option: Path, group: str) -> list[str]:
    """Overrides for the values that the option itself leaves to the user, as ``???``."""
    values = yaml.safe_load(option.read_text(encoding="utf-8"))
    return [f"{group.replace('/', '.')}.{key}=1" for key in _missing(values)]


def _missing(values: object) -> Iterator[str]:
    for key, value in values.items() if isinstance(values, dict) else ():
        if value == "???":
            yield str(key)
        yield from (f"{key}.{below}" for below in _missing(value))


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", help="ignored: a configuration is checked as a whole")
    parser.add_argument("--fix", action="store_true", help="ignored: nothing here mends itself")
    parser.parse_args(argv)
    settings = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))
    return report(check(settings["tool"]["gates"]["package"]))


if __name__ == "__main__":
    sys.exit(main())
