"""``runs list``: the newest runs, in a table."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import UserError, nearest
from . import facts
from .files import runs_folder
from .manifest import ManifestError, read_manifest
from .run import NAME, list_runs

LAST = 20
OLD = 1  # the version whose manifests have no seal


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kind", help="only these: train, evaluate, cross_validate, tune, jobs")
    parser.add_argument("--last", type=int, default=LAST, metavar="N", help=f"so many ({LAST})")


def main(args: argparse.Namespace) -> int:
    """Print the table.

    Raises:
        UserError: there is no run of this kind.
    """
    if args.last < 1:
        raise UserError(f"--last {args.last}: must be 1 or more.")
    everything = list_runs()
    kinds = {found["kind"] for path in everything if (found := NAME.fullmatch(path.name))}
    if args.kind is not None and args.kind not in kinds:
        known = ", ".join(sorted(kinds)) or "none"
        raise UserError(
            f"--kind {args.kind}: no run is of this kind. "
            f"There are: {known}.{nearest(args.kind, kinds)}"
        )
    chosen = list_runs(args.kind)
    if not chosen:
        print(f"no runs yet in {runs_folder()}.")
        return 0
    table = facts.table("run", "kind", "status", "started", "took", "metrics", "code")
    for column in table.columns[:5]:
        column.no_wrap = True
    table.columns[4].justify = "right"
    for folder in chosen[: args.last]:
        table.add_row(*_row(folder))
    facts.console().print(table)
    if len(chosen) > args.last:
        print(f"{len(chosen) - args.last} older: --last {len(chosen)} shows all.")
    return 0


def _row(folder: Path) -> list[str]:
    named = NAME.fullmatch(folder.name)
    try:
        manifest = read_manifest(folder)
    except ManifestError as error:
        kind = named["kind"] if named else ""
        return [folder.name, kind, facts.status(error.fault), "", "", "", ""]
    old = " v1" if manifest["schema_version"] == OLD else ""
    return [
        folder.name,
        manifest["kind"],
        facts.status(manifest["status"]) + old,
        facts.when(manifest),
        facts.took(manifest),
        facts.main_metrics(manifest, folder),
        facts.code(manifest),
    ]
