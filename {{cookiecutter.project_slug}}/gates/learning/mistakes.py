"""ML401-ML409: mistakes that make a score better than the model."""

from __future__ import annotations

from collections.abc import Iterator

from ..core.files import File
from ..core.gate import Context, Gate
from ..core.rules import Finding, Rule
from . import fitting, leaks, model_files, reporting, selecting, splitting
from .flow import Flow
from .rows import Rows

RULES: tuple[Rule, ...] = (
    *fitting.RULES,
    *leaks.RULES,
    *selecting.RULES,
    *splitting.RULES,
    *reporting.RULES,
    *model_files.RULES,
)
CHECKS = (
    fitting.on_held_back,
    fitting.per_batch,
    leaks.before_split,
    selecting.stopped_on_test,
    selecting.chosen,
    selecting.seed_is_tuned,
    reporting.misnamed,
    splitting.without_seed,
    splitting.against_the_declared,
    model_files.pickled,
)


def check(file: File, context: Context) -> Iterator[Finding]:
    if file.program is None:
        return
    flow = Flow(file.program)
    rows = Rows(flow)
    for find in CHECKS:
        for rule, node, what in find(flow, rows):
            place = file.program.place(node)
            yield Finding(rule, file.path, what, place.cell, place.line)


GATE = Gate(RULES, on_file=check)
main = GATE.main
