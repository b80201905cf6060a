"""Mistakes in a contract itself, whether it was written as YAML or as Python."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, get_args

from ...errors import UserError, nearest
from .contract import ColumnRule, Contract, Policy, Type
from .expressions import explain

if TYPE_CHECKING:
    import duckdb

Place = tuple[str | int, ...]  # such as ("columns", "age", "minimum")
TYPES, POLICIES = get_args(Type), get_args(Policy)
NUMBERS, DATES = ("integer", "number"), ("date", "datetime")


@dataclass(frozen=True)
class Mistake:
    place: Place
    what: str


def refuse_mistakes(contract: Contract, con: duckdb.DuckDBPyConnection | None = None) -> None:
    """Stop where the contract cannot be checked.

    Raises:
        UserError: with each mistake and the place where it stands.
    """
    if found := mistakes(contract, con):
        lines = "\n".join(f"  {name_of(each.place)}: {each.what}" for each in found)
        raise UserError(f"the contract of {contract.table} cannot be checked:\n{lines}")


def name_of(place: Place) -> str:
    return ".".join(str(part) for part in place)


def mistakes(contract: Contract, con: duckdb.DuckDBPyConnection | None = None) -> list[Mistake]:
    """All that is wrong with ``contract``, in the order in which it is written."""
    found = [*_choice(("policy",), contract.policy, POLICIES)]
    if not contract.columns:
        found.append(Mistake(("columns",), "a table has at least one column."))
    for name, rule in contract.columns.items():
        if not name or "\0" in name:
            found.append(Mistake(("columns", name), "a column has a name."))
        found += _column(("columns", name), rule)
    found += _size(contract)
    for number, names in enumerate(contract.unique):
        place: Place = ("unique", number)
        found += [m for name in names for m in _known(place, name, contract)]
        if not names or len(set(names)) < len(names):
            found.append(Mistake(place, "give different columns, at least one."))
    found += _freshness(contract)
    return found + _rules(contract, con)


def _choice(place: Place, value: object, known: tuple[str, ...]) -> list[Mistake]:
    if value in known:
        return []
    return [Mistake(place, f"{value!r} is none of {', '.join(known)}.{nearest(value, known)}")]


def _known(place: Place, name: str, contract: Contract) -> list[Mistake]:
    if name in contract.columns:
        return []
    return [Mistake(place, f"there is no column {name!r}.{nearest(name, contract.columns)}")]


def _column(place: Place, rule: ColumnRule) -> list[Mistake]:
    found = _choice((*place, "type"), rule.type, TYPES)
    if found:
        return found
    if rule.policy is not None:
        found += _choice((*place, "policy"), rule.policy, POLICIES)
    for key in ("nullable", "unique"):
        if not isinstance(getattr(rule, key), bool):
            found.append(Mistake((*place, key), "must be true or false."))
    bounds = {key: getattr(rule, key) for key in ("minimum", "maximum")}
    for key, bound in bounds.items():
        if bound is not None and (wrong := _bound(rule.type, bound)):
            found.append(Mistake((*place, key), wrong))
    if not found and None not in bounds.values():
        low, high = (as_value(rule.type, bound) for bound in bounds.values())
        if low > high:
            found.append(Mistake((*place, "minimum"), f"{rule.minimum} is above the maximum."))
    return found + _words(place, rule)


def _bound(kind: str, bound: object) -> str:
    if kind not in (*NUMBERS, *DATES):
        return f"a column of type {kind} has no bounds; give values instead."
    try:
        as_value(kind, bound)
    except ValueError as error:
        return f"{bound!r} is {error}."
    return ""


def _words(place: Place, rule: ColumnRule) -> list[Mistake]:
    found = []
    if rule.values is not None:
        if not rule.values:
            found.append(Mistake((*place, "values"), "an empty list allows no value at all."))
        for value in rule.values:
            try:
                as_value(rule.type, _from_text(rule.type, value))
            except ValueError as error:
                found.append(Mistake((*place, "values"), f"{value!r} is {error}."))
    if rule.format is not None and rule.type not in DATES:
        found.append(Mistake((*place, "format"), f"is for dates; this is of type {rule.type}."))
    if not isinstance(rule.decimal, str) or len(rule.decimal) != 1:
        found.append(Mistake((*place, "decimal"), 'must be one character, such as ".".'))
    for key in ("true", "false"):
        if getattr(rule, key) and rule.type != "boolean":
            found.append(Mistake((*place, key), f"is for booleans; this is of type {rule.type}."))
    if both := sorted(set(rule.true) & set(rule.false)):
        found.append(Mistake((*place, "true"), f"{', '.join(both)} cannot be true and false."))
    return found


def _from_text(kind: str, text: str) -> object:
    """A value as it stands in ``values``, in Python's type where ``text`` is one of a number."""
    if not isinstance(text, str):
        raise ValueError("no text; values are written as text")
    if kind in NUMBERS:
        try:
            return int(text)
        except ValueError:
            pass
        try:
            return float(text)
        except ValueError:
            raise ValueError("no number") from None
    return text


def as_value(kind: str, value: Any) -> Any:
    """A bound, or one of the values, as Python has it: int, float, bool, date, datetime or text.

    Raises:
        ValueError: it is of another type; the message says which is wanted.
    """
    if kind in NUMBERS:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError("no number")
        if math.isnan(value):
            raise ValueError("not a number")
        return value
    if kind == "boolean":
        if str(value).lower() not in ("true", "false"):
            raise ValueError("neither true nor false")
        return str(value).lower() == "true"
    if kind in DATES:
        try:
            moment = datetime.fromisoformat(value)
            if moment.tzinfo is not None:
                raise ValueError
            return date.fromisoformat(value) if kind == "date" else moment
        except (TypeError, ValueError):
            shape = "2024-01-31" if kind == "date" else "2024-01-31T12:00:00"
            raise ValueError(f"no {kind} such as {shape}") from None
    return value


def as_values(rule: ColumnRule) -> list[Any]:
    """The allowed values of a column, as Python has them."""
    return [as_value(rule.type, _from_text(rule.type, text)) for text in rule.values or []]


def _size(contract: Contract) -> list[Mistake]:
    found = []
    for key in ("fewest_rows", "most_rows"):
        rows = getattr(contract, key)
        if key == "most_rows" and rows is None:
            continue
        if isinstance(rows, bool) or not isinstance(rows, int) or rows < 0:
            found.append(Mistake((key,), f"{rows!r} is no whole number from 0 up."))
    if not found and contract.most_rows is not None and contract.most_rows < contract.fewest_rows:
        found.append(Mistake(("most_rows",), f"is below fewest_rows, {contract.fewest_rows}."))
    return found


def _freshness(contract: Contract) -> list[Mistake]:
    fresh = contract.freshness
    if fresh is None:
        return []
    found = _known(("freshness", "column"), fresh.column, contract)
    if not found and contract.columns[fresh.column].type not in DATES:
        kind = contract.columns[fresh.column].type
        found.append(
            Mistake(("freshness", "column"), f"{fresh.column} is of type {kind}, not a date.")
        )
    number = isinstance(fresh.days, int | float) and not isinstance(fresh.days, bool)
    if not number or not 0 <= fresh.days < 1e6:
        found.append(Mistake(("freshness", "days"), f"{fresh.days!r} is no number of days."))
    return found


def _rules(contract: Contract, con: duckdb.DuckDBPyConnection | None) -> list[Mistake]:
    found: list[Mistake] = []
    names = [rule.name for rule in contract.rules]
    for number, rule in enumerate(contract.rules):
        place: Place = ("rules", number)
        if rule.policy is not None:
            found += _choice((*place, "policy"), rule.policy, POLICIES)
        if not rule.name or rule.name in names[:number]:
            found.append(Mistake((*place, "name"), "give each rule a name of its own."))
    if contract.rules and not found and all(contract.columns):
        types = {name: rule.type for name, rule in contract.columns.items() if rule.type in TYPES}
        for number, wrong in explain([rule.sql for rule in contract.rules], types, con).items():
            found.append(Mistake(("rules", number, "sql"), wrong))
    return found
