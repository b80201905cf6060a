"""A contract compiled: the SQL that is true for a row that breaks a rule."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ...errors import nearest
from .contract import ColumnRule, Contract, Policy
from .expressions import columns_of
from .report import Breach
from .sql import SQL_TYPES, above, below, fits, floating, literal, quoted
from .validity import Place, as_value, as_values

if TYPE_CHECKING:
    import duckdb

UNREAD, TEXT = "#unread", "#text"  # of a view cast from text: what could not be read as its type
HIDDEN = (UNREAD, TEXT)
AS_IT_IS = "#as it is"


@dataclass(frozen=True)
class Rule:
    """A rule that rows break one by one: ``broken`` is true for those that do, or for ``unique``
    None: which rows repeat another is seen only beside the others."""

    name: str
    columns: tuple[str, ...]
    policy: Policy
    place: Place
    broken: str | None
    says: str = ""

    @classmethod
    def of_rows(cls, contract: Contract, number: int, columns: tuple[str, ...]) -> Rule:
        rule = contract.rules[number]
        policy = rule.policy or contract.policy
        broken = f"NOT (\n{rule.sql}\n)"
        return cls(rule.name, columns, policy, ("rules", number), broken, rule.sql)

    def breach(self, count: int, examples: list[str]) -> Breach:
        column = ", ".join(self.columns)
        return Breach(
            self.name, column, count, examples, self.policy, self.broken, self.says,
            self.columns, self.place,
        )  # fmt: skip


@dataclass(frozen=True)
class View:
    """A view as it is found: its columns, and how it is read for checking."""

    name: str
    types: dict[str, str]  # without the hidden columns
    hidden: dict[str, str]
    misfits: dict[str, int] = field(default_factory=dict)  # columns of another type -> values

    def read(self, contract: Contract, as_it_is: bool = False) -> str:
        """The rows with one form of missing: NaN is NULL, moments are those of UTC, and an empty
        column has the contract's type. With ``as_it_is``, the row as it was stands beside them."""
        changed = []
        for name, kind in self.types.items():
            column = quoted(name)
            rule = contract.columns.get(name)
            if floating(kind):
                changed.append(f"CASE WHEN isnan({column}) THEN NULL ELSE {column} END AS {column}")
            elif kind == "TIMESTAMP WITH TIME ZONE":
                changed.append(f"timezone('UTC', {column}) AS {column}")
            elif rule and not fits(rule.type, kind) and name not in self.misfits:
                changed.append(f"NULL::{SQL_TYPES[rule.type]} AS {column}")
        replace = f" REPLACE ({', '.join(changed)})" if changed else ""
        whole = f"each AS {quoted(AS_IT_IS)}, " if as_it_is else ""
        return f"(SELECT {whole}each.*{replace} FROM {quoted(self.name)} AS each)"


def look(con: duckdb.DuckDBPyConnection, view: str, contract: Contract) -> View:
    """The columns of ``view``, and those that hold values of another type than they should."""
    described = con.execute(f"DESCRIBE SELECT * FROM {quoted(view)}").fetchall()
    types = {name: kind for name, kind, *_ in described}
    hidden = {name: types.pop(name) for name in HIDDEN if name in types}
    odd = [
        name
        for name, rule in contract.columns.items()
        if name in types and not fits(rule.type, types[name])
    ]
    if not odd:
        return View(view, types, hidden)
    counts = ", ".join(f"count({quoted(name)})" for name in odd)
    filled = con.execute(f"SELECT {counts} FROM {quoted(view)}").fetchall()[0]
    misfits = {name: count for name, count in zip(odd, filled, strict=True) if count}
    return View(view, types, hidden, misfits)


def column_rules(contract: Contract, view: View) -> list[Rule]:
    """What must hold of single values, of the columns that are there and have their type."""
    found = []
    for name, rule in contract.columns.items():
        if name in view.types and name not in view.misfits:
            found += _of_column(name, rule, contract, UNREAD in view.hidden)
    return found


def _of_column(name: str, rule: ColumnRule, contract: Contract, unread: bool) -> list[Rule]:
    policy, column = rule.policy or contract.policy, quoted(name)
    broken = {}
    if unread:
        says = f"cannot be read as {rule.type}"
        broken["type"] = f"coalesce(list_contains({quoted(UNREAD)}, {literal(name)}), false)", says
    if not rule.nullable:
        missing = f"{column} IS NULL" + (f" AND NOT {broken['type'][0]}" if unread else "")
        broken["nullable"] = missing, "is missing"
    for key, beyond, says in (("minimum", below, "below"), ("maximum", above, "above")):
        bound = getattr(rule, key)
        if bound is not None:
            condition = beyond(rule.type, column, as_value(rule.type, bound))
            broken[key] = condition, f"{says} {bound}"
    if rule.values is not None:
        allowed = ", ".join(literal(value) for value in as_values(rule))
        broken["values"] = f"{column} NOT IN ({allowed})", f"none of {some(rule.values, 8)}"
    place = ("columns", name)
    return [
        Rule(key, (name,), policy, (*place, key), condition, says)
        for key, (condition, says) in broken.items()
    ]


def unique_rules(contract: Contract, view: View) -> list[Rule]:
    """Columns that alone or together name a row. A row where one is missing repeats no other."""
    found: dict[tuple[str, ...], Rule] = {}
    for name, rule in contract.columns.items():
        if rule.unique:
            policy = rule.policy or contract.policy
            found[(name,)] = Rule("unique", (name,), policy, ("columns", name, "unique"), None)
    for number, names in enumerate(contract.unique):
        key = tuple(names)
        found.setdefault(key, Rule("unique", key, contract.policy, ("unique", number), None))
    return [rule for key, rule in found.items() if not unusable(key, view)]


def row_rules(
    con: duckdb.DuckDBPyConnection, contract: Contract, view: View
) -> tuple[list[Rule], dict[int, list[str]]]:
    """The row rules that can be computed; and of the others, by number, the columns they lack."""
    found, lacking = [], {}
    for number, rule in enumerate(contract.rules):
        names = tuple(name for name in columns_of(con, rule.sql) if name in contract.columns)
        if lost := unusable(names, view):
            lacking[number] = lost
            continue
        found.append(Rule.of_rows(contract, number, names))
    return found, lacking


def unusable(names: tuple[str, ...], view: View) -> list[str]:
    return [name for name in names if name not in view.types or name in view.misfits]


def at_large(policy: Policy) -> Policy:
    """What happens where no row is guilty: there is none to be set aside."""
    return "warn" if policy == "warn" else "stop"


def structure(contract: Contract, view: View, lacking: dict[int, list[str]]) -> list[Breach]:
    policy = at_large(contract.policy)
    breaches = []
    for name, rule in contract.columns.items():
        own = at_large(rule.policy or contract.policy)
        if name not in view.types:
            says = f"is missing; there are {some(view.types)}.{nearest(name, view.types)}"
            breaches.append(about("columns", (name,), own, says, ("columns", name)))
        elif name in view.misfits:
            says = f"is {view.types[name]}, not {rule.type}"
            place = ("columns", name, "type")
            breaches.append(about("type", (name,), own, says, place, view.misfits[name]))
    for name in view.types:
        if name not in contract.columns:
            says = (
                "is not in the contract; allow it there with a line for it."
                f"{nearest(name, contract.columns)}"
            )
            breaches.append(about("columns", (name,), policy, says, ("columns",)))
    for number, lost in lacking.items():
        rule_ = contract.rules[number]
        says = f"cannot be told without {', '.join(lost)}"
        own = at_large(rule_.policy or contract.policy)
        breaches.append(about(rule_.name, tuple(lost), own, says, ("rules", number)))
    return breaches


def about(
    rule: str, columns: tuple[str, ...], policy: Policy, says: str, place: Place, count: int = 0
) -> Breach:
    return Breach(rule, ", ".join(columns), count, [], policy, None, says, columns, place)


def some(names: Iterable[str], most: int = 10) -> str:
    names = list(names)
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")
