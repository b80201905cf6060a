"""What a gate reports: rules, which say what is wrong, why and how to mend it, and findings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FAMILIES = {
    "NB1": "Notebooks: their layout",
    "NB2": "Notebooks: the same result tomorrow, on another machine",
    "NB3": "Notebooks: what machines leave behind, pairs, secrets",
    "ML4": "Learning mistakes, in notebooks and modules",
    "CF5": "Configurations and jobs",
    "PR6": "The project",
    "EX7": "Exceptions from rules",
}


@dataclass(frozen=True)
class Rule:
    """One kind of mistake. ``bad`` and ``good`` are shown by ``explain`` and used by the tests."""

    id: str
    what: str
    why: str
    mend: str
    bad: str
    good: str
    story: bool = False  # belongs to the layout of this project's notebooks: off in others
    always: bool = False  # also where `select` names others: without it these would tell nothing
    opt_in: bool = False  # only where `select` names it: it is not right often enough for all


@dataclass(frozen=True, order=True)
class Finding:
    """A rule that is broken at a place; ``what`` says it more exactly than the rule does.

    ``line`` counts from 1, inside the cell for a notebook and inside the file otherwise.
    """

    rule: Rule
    path: Path
    what: str = ""
    cell: int | None = None  # counted from 1
    line: int | None = None
    detail: str = ""  # more lines to show below, such as a diff

    @property
    def message(self) -> str:
        return self.what or self.rule.what

    @property
    def place(self) -> str:
        parts = [str(self.path)]
        parts += [f"cell {self.cell}"] if self.cell else []
        parts += [f"line {self.line}"] if self.line else []
        return ", ".join(parts)


def matches(rule: Rule, prefixes: tuple[str, ...]) -> bool:
    """Whether one of ``prefixes``, such as NB, NB2 or NB201, means this rule."""
    return rule.id.startswith(prefixes)
