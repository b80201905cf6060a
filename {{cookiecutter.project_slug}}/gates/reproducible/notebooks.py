"""NB201-NB211: what makes a notebook give another result tomorrow, or none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from ..core.files import File, Notebook
from ..core.gate import Context, Gate
from ..core.programs import Place
from ..core.rules import Finding
from . import order, randomness, reading, surroundings, unattended
from .code import Code

PARTS = (order, randomness, reading, surroundings, unattended)
RULES = tuple(sorted((rule for part in PARTS for rule in part.RULES), key=lambda rule: rule.id))


def check(file: File, context: Context) -> Iterator[Finding]:
    program = file.program if isinstance(file, Notebook) else None
    if program is None or not isinstance(file, Notebook):
        return
    code = Code(file, program)
    for look in (look for part in PARTS for look in part.LOOKS):
        with suppress(RecursionError):  # an expression of hundreds of levels, such as a long sum
            for rule, where, what in look(code):
                place = where if isinstance(where, Place) else program.place(where)
                yield Finding(rule, file.path, what, place.cell, place.line)


GATE = Gate(RULES, on_file=check)
main = GATE.main
