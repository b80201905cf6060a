"""The facts of a manifest as a person reads them."""

from __future__ import annotations

import datetime
import json
import sys
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config.schema import SECTIONS, STAGE, VARIANTS
from .run import JOBS

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

WIDE = 400  # characters: what is piped is searched and cut by programs, and not wrapped
COLOURS = {
    "succeeded": "green",
    "running": "cyan",
    "failed": "red",
    "killed": "red",
    "torn": "red",
    "edited": "red",
}


def console() -> Console:
    """Standard output: as wide as a terminal, or wide enough for what reads from a pipe."""
    from rich.console import Console

    class Plain(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # rich would call it a failure

    return Plain(width=None if sys.stdout.isatty() else WIDE, highlight=False, emoji=False)


def table(*columns: str) -> Table:
    """A table without lines, for :func:`console`."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=any(columns))
    for column in columns:
        made.add_column(column, header_style="bold", overflow="fold")
    return made


def status(value: str) -> str:
    """With the colour of its meaning, in the marks of rich."""
    colour = COLOURS.get(value, "yellow")
    return f"[{colour}]{value}[/{colour}]"


def when(manifest: Mapping[str, Any]) -> str:
    """When it started, in local time; without the year when it is this one."""
    started = _time(manifest["started"]).astimezone()
    this_year = started.year == datetime.datetime.now().astimezone().year
    return started.strftime("%m-%d %H:%M" if this_year else "%Y-%m-%d %H:%M")


def took(manifest: Mapping[str, Any]) -> str:
    """How long it ran, where that is known."""
    if not manifest["ended"]:
        return ""
    seconds = (_time(manifest["ended"]) - _time(manifest["started"])).total_seconds()
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def code(manifest: Mapping[str, Any]) -> str:
    """The commit, short, and whether there were changes."""
    git = manifest["git"]
    return (git["commit"] or "none")[:8] + ("+changes" if git["dirty"] else "")


def jobs(folder: Path) -> list[dict[str, Any]]:
    """What a run of jobs tells of each; empty for other runs."""
    try:
        found = json.loads((folder / JOBS).read_bytes())
    except (OSError, ValueError):
        return []
    return found if isinstance(found, list) else []


def main_metrics(manifest: Mapping[str, Any], folder: Path) -> str:
    """The first two of the run's own model, on validation rows when it was trained, on test rows
    when it was evaluated, over the folds when it was cross-validated; of jobs, how many
    succeeded."""
    if entries := jobs(folder):
        good = sum(entry.get("status") == "succeeded" for entry in entries)
        return f"{good} of {len(entries)} jobs"
    model = manifest["config"].get("model", {}).get("name")
    part = {"evaluate": "test", "cross_validate": "folds"}.get(manifest["kind"], "valid")
    start = f"{part}.{model}."
    own = {n.removeprefix(start): v for n, v in manifest["metrics"].items() if n.startswith(start)}
    return "  ".join(f"{name} {number(value)}" for name, value in list(own.items())[:2])


def number(value: Any) -> str:
    """A metric, short."""
    return (
        f"{value:.4g}" if isinstance(value, float) else "undefined" if value is None else f"{value}"
    )


def flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Nested values by dotted key; empty mappings and lists are values."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{before}{key}.")
        else:
            found[f"{before}{key}"] = value
    return found


def changed(config: Mapping[str, Any]) -> dict[str, Any]:
    """What differs from the defaults of the schema, by dotted key, and which option was chosen."""
    found = {f"{name}.{key}": config[name].get(key) for name, (key, _) in VARIANTS.items()}
    for section, value in config.items():
        if section in VARIANTS:
            key, schemas = VARIANTS[section]
            schema = schemas.get(value.get(key))
        else:
            schema = {**SECTIONS, **STAGE}.get(section)
        defaults = flat(_defaults(schema), f"{section}.") if schema else {}
        if section not in ("overrides", "jobs", "tuning"):  # these say how, and are long
            here = flat(value, f"{section}.") if isinstance(value, Mapping) else {section: value}
            found |= {n: v for n, v in here.items() if n not in defaults or defaults[n] != v}
    return found


def _defaults(schema: type) -> dict[str, Any]:
    """The defaults of a section; values without one are left out."""
    found: dict[str, Any] = {}
    for each in fields(schema):
        default = each.default_factory
        if default is not MISSING:
            made = default()
            found[each.name] = _defaults(type(made)) if is_dataclass(made) else made
        elif each.default != "???":
            found[each.name] = each.default
    return found


def _time(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text)
