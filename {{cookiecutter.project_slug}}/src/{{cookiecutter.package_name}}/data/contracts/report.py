"""What a check has found, and how it is told."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from ...errors import UserError
from .contract import Contract, Policy
from .validity import Place

MOST_TOLD = 20


@dataclass(frozen=True)
class Breach:
    """One rule that does not hold.

    Attributes:
        rule: type, nullable, minimum, maximum, values, unique, columns, rows or freshness; or the
            name of a row rule.
        column: the column, or several with commas between; empty where the table is meant.
        columns: the same as names.
        count: rows that break it; 0 where it is about the table as a whole.
        examples: up to five of these rows, readable.
        policy: what happens. What no single row is guilty of can only ``stop`` or ``warn``.
        where: SQL that is true for the rows concerned; None where no row is meant, or others
            decide (``unique``).
        says: what should have held, or what is wrong.
        place: where it stands in the contract, such as ("columns", "age", "minimum").
    """

    rule: str
    column: str
    count: int
    examples: list[str]
    policy: Policy
    where: str | None = None
    says: str = ""
    columns: tuple[str, ...] = ()
    place: Place = ()

    @property
    def reason(self) -> str:
        """The words that stand beside a row which is set aside for it."""
        column = ", ".join(self.columns)
        return f"{column}: {self.rule}" if self.place[:1] != ("rules",) else self.rule


@dataclass(frozen=True)
class Report:
    """What was found in ``rows`` rows of ``table`` at ``boundary``."""

    table: str
    boundary: str
    rows: int
    breaches: list[Breach] = field(default_factory=list)
    mend: str = ""  # what to do where there is no contract that one could edit

    def of(self, policy: Policy) -> list[Breach]:
        return [breach for breach in self.breaches if breach.policy == policy]

    def raise_if_stopped(self, written: Path | None = None) -> None:
        """Stop when a rule with the policy ``stop`` is broken.

        ``written`` is the contract's file: with it, the message names the lines to edit.

        Raises:
            UserError: every such breach with its rows, and how to mend it.
        """
        stopping = self.of("stop")
        if not stopping:
            return
        count = "a rule is" if len(stopping) == 1 else f"{len(stopping)} rules are"
        lines = [f"{self.table}, {self.boundary}: {count} broken ({self.rows:,} rows)."]
        for breach in stopping[:MOST_TOLD]:
            lines += self._told(breach, written)
        if len(stopping) > MOST_TOLD:
            lines.append(f"  … and {len(stopping) - MOST_TOLD} more")
        raise UserError("\n".join([*lines, self._mend(stopping, written)]))

    def notes(self) -> list[str]:
        """One line for each breach that does not stop: what was set aside, what stays and why."""
        done = {"set_aside": "set aside", "warn": "kept, as its policy is warn"}
        return [
            f"{_heading(breach, self.rows)}; {done[breach.policy]}"
            for breach in self.breaches
            if breach.policy != "stop"
        ]

    def _told(self, breach: Breach, written: Path | None) -> list[str]:
        from .document import line_of

        lines = [f"  {_heading(breach, self.rows)}"]
        lines += [f"    {example}" for example in breach.examples]
        number = line_of(written, breach.place) if written else None
        if number:
            lines.append(f"    {written}, line {number}")
        return lines

    def in_order(self, contract: Contract) -> Report:
        """The same, in the order of the contract's columns; what is of none comes last."""
        place = {name: number for number, name in enumerate(contract.columns)}
        key = [place.get(breach.column, len(place)) for breach in self.breaches]
        order = sorted(range(len(key)), key=key.__getitem__)
        return replace(self, breaches=[self.breaches[number] for number in order])

    def _mend(self, stopping: list[Breach], written: Path | None) -> str:
        if self.mend:
            return self.mend
        where = str(written) if written else f"the contract of {self.table}"
        rows = any(breach.count for breach in stopping)
        aside = (
            "\nOr give the column or rule `policy: set_aside` there: such rows go to "
            "data/quarantine/ with the reason."
            if rows
            else ""
        )
        return f"Mend the table at its source; or, where the rule is wrong, edit {where}.{aside}"


def _heading(breach: Breach, rows: int) -> str:
    subject = breach.column or "the table"
    says = f": {breach.says}" if breach.says else ""
    count = f"; {breach.count:,} of {rows:,} rows break it" if breach.count else ""
    return f"{subject}, {breach.rule}{says}{count}"
