"""``runs diff A B``: what differs between two runs, and what that changed."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from rich.markup import escape

from . import facts
from .manifest import read_manifest
from .run import find_run

LONGEST = 60  # characters of a value


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("a", metavar="A", help="an id, its beginning or end, latest, a folder")
    parser.add_argument("b", metavar="B", help="another one")


def main(args: argparse.Namespace) -> int:
    """Print what differs, in the order of what could have caused it.

    Raises:
        UserError: there is no such run, or a manifest is torn or edited.
    """
    one, two = (read_manifest(find_run(name)) for name in (args.a, args.b))
    console = facts.console()
    table = facts.table("", one["id"], two["id"], "")
    found = differences(one, two)
    for what, entries in found.items():
        same = "" if entries else "[dim]same[/dim]"
        table.add_row(f"[bold]{what}[/bold]", same, "" if entries else same, "")
        for name, (a, b) in entries.items():
            table.add_row(f"  {escape(name)}", _said(a), _said(b), _by(a, b))
    console.print(table)
    shared = set(one["outputs"]) & set(two["outputs"])
    equal = sum(one["outputs"][name] == two["outputs"][name] for name in shared)
    print(f"{equal} of {len(set(one['outputs']) | set(two['outputs']))} outputs are identical.")
    return 0


def differences(
    one: Mapping[str, Any], two: Mapping[str, Any]
) -> dict[str, dict[str, tuple[Any, Any]]]:
    """Section -> name -> the values of both; None where a run has no such entry."""

    def code(of: Mapping[str, Any]) -> dict[str, Any]:
        git = of["git"]
        return {name: git.get(name) for name in ("commit", "dirty", "diff_sha256")}

    def environment(of: Mapping[str, Any]) -> dict[str, Any]:
        plain = {k: v for k, v in of["environment"].items() if k not in ("lock_sha256", "blas")}
        libraries = of["environment"].get("blas", [])
        blas = {f"blas.{each['library']}": _blas(each) for each in libraries}
        return facts.flat(plain) | blas

    kinds = (one["kind"], two["kind"])
    idle = {s for s, kind in (("jobs", "jobs"), ("tuning", "tune")) if kind not in kinds}

    def config(of: Mapping[str, Any]) -> dict[str, Any]:
        kept = {key: value for key, value in of["config"].items() if key not in idle}
        # The overrides, which notebooks are given as well, are in the values they changed.
        given = kept.pop("overrides", None)
        return {name: value for name, value in facts.flat(kept).items() if value != given}

    readers = {
        "configuration": config,
        "code": code,
        "lock": lambda of: {"sha256": of["environment"]["lock_sha256"]},
        "environment": environment,
        "inputs": lambda of: {name: each["sha256"] for name, each in of["inputs"].items()},
        "metrics": lambda of: of["metrics"],
        "outputs": lambda of: of["outputs"],
    }
    return {what: _differing(read(one), read(two)) for what, read in readers.items()}


def _differing(one: Mapping[str, Any], two: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    names = [*one, *(name for name in two if name not in one)]
    pairs = {name: (one.get(name), two.get(name)) for name in names}
    return {name: (a, b) for name, (a, b) in pairs.items() if a != b}


def _blas(library: Mapping[str, Any]) -> str:
    parts = (library["version"], library["architecture"], f"{library['threads']} threads")
    return " ".join(str(part) for part in parts if part)


def _said(value: Any) -> str:
    if value is None:
        return "[dim]none[/dim]"
    text = facts.number(value)
    if isinstance(value, str) and len(value) in (40, 64) and set(value) <= set("0123456789abcdef"):
        text = value[:12]
    return escape(text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…")


def _by(one: Any, two: Any) -> str:
    """The difference of two numbers."""
    numbers = [v for v in (one, two) if isinstance(v, int | float) and not isinstance(v, bool)]
    return f"{numbers[1] - numbers[0]:+.4g}" if len(numbers) == 2 else ""
