"""Runs gates over files: each file is read once, whatever the number of gates."""

from __future__ import annotations

import pkgutil
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from .. import (
    configs,
    embedded,
    layout,
    learning,
    outputs,
    pairs,
    project,
    reproducible,
    secrets,
)
from ..configs import jobs
from . import allowed, files
from .files import NB300, Module, Unreadable, load
from .gate import Context, Gate
from .rules import Finding, Rule

# The order in which they mend: what is stripped first need not be brought in step.
_ORDERED: tuple[Gate, ...] = (
    outputs.GATE,
    layout.GATE,
    pairs.GATE,
    secrets.GATE,
    embedded.GATE,
    reproducible.GATE,
    learning.GATE,
    configs.GATE,
    jobs.GATE,
    project.GATE,
)
# Then those of all other modules here, such as a stage adds.
_FOUND = [
    import_module(f"..{each.name}", __package__)
    for each in pkgutil.iter_modules([str(Path(__file__).parents[1])])
    if each.name not in ("__main__", "core")
]
GATES: tuple[Gate, ...] = (
    *_ORDERED,
    *(module.GATE for module in _FOUND if module.GATE not in _ORDERED),
)
RULES: tuple[Rule, ...] = tuple(
    sorted(
        [*files.RULES, *allowed.RULES, *(rule for gate in GATES for rule in gate.rules)],
        key=lambda rule: rule.id,
    )
)


def wanted(gates: Iterable[Gate], context: Context) -> list[Gate]:
    """The gates that have a rule which the settings ask for."""
    return [gate for gate in gates if any(map(context.settings.wants, gate.rules))]


def examine(
    paths: Sequence[Path],
    context: Context,
    gates: Sequence[Gate],
    *,
    whole: bool = True,
    fix: bool = False,
    mended: Callable[[Finding], None] = lambda finding: None,
) -> Iterator[Finding]:
    """What the gates find in the files, and in the project where ``whole`` is true.

    Args:
        fix: Mend first what can be mended; ``mended`` is told of each finding that is gone.
    """
    gates = wanted(gates, context)
    looked_for = {rule.id for gate in gates for rule in gate.rules if context.settings.wants(rule)}
    if not any(gate.on_file or gate.on_path for gate in gates):
        paths = ()
    for number, path in enumerate(paths, start=1):
        _progress(number, len(paths))
        name = _relative(path, context.root)
        found = list(_keep(_of_file(name, context, gates, looked_for), context))
        if fix and _mend(name, context, gates, found):
            before, found = found, list(_keep(_of_file(name, context, gates, looked_for), context))
            left = {(finding.rule, finding.cell) for finding in found}
            for finding in before:
                if (finding.rule, finding.cell) not in left:
                    mended(finding)
        yield from found
    if whole:
        yield from _keep(_of_project(context, gates, looked_for), context)


def _relative(path: Path, root: Path) -> Path:
    full = path if path.is_absolute() else Path.cwd() / path
    return full.relative_to(root) if full.is_relative_to(root) else path


def _mend(path: Path, context: Context, gates: Sequence[Gate], found: Sequence[Finding]) -> bool:
    """Let each gate mend what it can of what was found; whether anything was written."""
    rules = {finding.rule for finding in found}
    written = False
    for gate in gates:
        # What one gate mends may put a pair out of step, and the last brings it in step again.
        if gate.fix and (rules.intersection(gate.rules) or (written and gate.on_path)):
            with suppress(Unreadable):  # the check that follows says so
                written |= gate.fix(path, context)
    return written


def _of_file(
    path: Path, context: Context, gates: Sequence[Gate], looked_for: set[str]
) -> Iterator[Finding]:
    found: list[Finding] = []
    try:
        file = load(path) if path.is_file() else None
        for gate in gates:
            if gate.on_path and path.suffix == ".ipynb":
                found += gate.on_path(path, context)
            if gate.on_file and file:
                found += gate.on_file(file, context)
    except Unreadable as error:
        yield Finding(NB300, path, str(error))
        return
    except RecursionError:
        yield Finding(NB300, path, "it is nested too deeply")
        return
    found = sorted(
        _keep(found, context), key=lambda finding: (finding.cell or 0, finding.line or 0)
    )
    yield from allowed.without_allowed(file, found, looked_for) if file else found


def _of_project(context: Context, gates: Sequence[Gate], looked_for: set[str]) -> Iterator[Finding]:
    by_file: dict[Path, list[Finding]] = defaultdict(list)
    for gate in gates:
        if gate.on_project:
            for finding in _keep(gate.on_project(context), context):
                by_file[finding.path].append(finding)
    for path, found in sorted(by_file.items()):
        try:
            file = Module(path) if path.is_file() else None
        except Unreadable:
            file = None  # not text: it holds no comments either
        yield from allowed.without_allowed(file, found, looked_for) if file else found


def _keep(findings: Iterable[Finding], context: Context) -> Iterator[Finding]:
    return (each for each in findings if context.settings.reports(each.rule, each.path))


def _progress(number: int, total: int) -> None:
    if total >= 200 and sys.stderr.isatty() and (number % 50 == 0 or number == total):
        print(f"\rgates: {number} of {total} files", end="", file=sys.stderr, flush=True)
        if number == total:
            print("\r" + " " * 40 + "\r", end="", file=sys.stderr)
