"""``runs show RUN``: what is known about one run."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import Any

from rich.markup import escape

from . import facts
from .manifest import read_manifest
from .run import find_run

LONGEST = 30  # entries of a list that are shown


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="an id, its beginning or end, latest, a folder")


def main(args: argparse.Namespace) -> int:
    """Print the facts.

    Raises:
        UserError: there is no such run, or its manifest is torn or edited.
    """
    folder = find_run(args.run)
    manifest = read_manifest(folder)
    git, environment = manifest["git"], manifest["environment"]
    patch = git.get("patch") or (git.get("patch_omitted") and f"not stored: {git['patch_omitted']}")
    console = facts.console()
    console.print(f"[bold]{folder.name}[/bold]  {facts.status(manifest['status'])}")
    rows = {
        "cause": manifest["cause"],
        "folder": folder,
        "started": (
            f"{manifest['started'][:19].replace('T', ' ')} UTC, "
            f"took {facts.took(manifest) or 'unknown'}"
        ),
        "command": " ".join(manifest["command"]),
        "part of": manifest.get("parent"),
        "code": facts.code(manifest) + (f" ({patch})" if patch else ""),
        "lock": _short(environment["lock_sha256"]),
        "python": f"{environment['python']} on {environment['os']}",
        "cpu": f"{environment['cpu']}, {environment['cpu_count']} cores",
        "model": _short(manifest.get("model")),
        "schema": f"version {manifest['schema_version']}"
        + ("" if "seal" in manifest else ", without a seal"),
    }
    _print(console, "", ((name, value) for name, value in rows.items() if value))
    _print(console, "configuration", facts.changed(manifest["config"]).items())
    jobs = ((e.get("job"), e.get("status"), e.get("cause") or "") for e in facts.jobs(folder))
    _print(console, "jobs", jobs)
    bounds = manifest.get("intervals", {})
    metrics = ((n, facts.number(v), _bounds(bounds.get(n))) for n, v in manifest["metrics"].items())
    _print(console, "metrics", metrics)
    inputs = (
        (name, _short(each["sha256"]), f"{each['rows']:,} rows" if each["rows"] is not None else "")
        for name, each in manifest["inputs"].items()
    )
    _print(console, "inputs", inputs)
    for what in ("outputs", "records"):
        found = manifest.get(what, {})
        _print(console, what, ((name, _short(digest)) for name, digest in found.items()))
    return 0


def _print(console: Any, heading: str, rows: Iterable[Sequence[Any]]) -> None:
    listed = list(rows)
    if not listed:
        return
    if heading:
        console.print(f"\n[bold]{heading}[/bold]")
    table = facts.table(*[""] * max(map(len, listed)))
    for row in listed[:LONGEST]:
        table.add_row(*(escape(str(each)) for each in row))
    console.print(table)
    if len(listed) > LONGEST:
        console.print(f"and {len(listed) - LONGEST} more")


def _short(digest: str | None) -> str:
    return (digest or "")[:12]


def _bounds(found: Sequence[float | None] | None) -> str:
    return f"{facts.number(found[0])} to {facts.number(found[1])}" if found else ""
