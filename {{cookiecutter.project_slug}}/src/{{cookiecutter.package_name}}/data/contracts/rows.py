"""A contract over a few rows in memory, in the milliseconds that an answer may take."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, time
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from .contract import ColumnRule, Contract
from .examples import EXAMPLES, tell
from .expressions import columns_of, parser
from .report import Breach, Report
from .rules import Rule, View, column_rules, structure, unique_rules
from .sql import SQL_TYPES, quoted
from .validity import as_value, as_values, refuse_mistakes

if TYPE_CHECKING:
    import pandas as pd

Values = list[Any]
_UNREAD = object()  # stands for a value of another type
_BIGINT = 2**63


def check_rows(frame: pd.DataFrame, contract: Contract, boundary: str = "serving") -> Report:
    """As :class:`RowCheck`, for one call."""
    return RowCheck(contract)(frame, boundary)


class RowCheck:
    """A contract made ready for many small frames; finds in them what :func:`check` finds.

    Row counts and freshness are of a table, and not looked at. A frame has its types value by
    value, so a value of another type is a breach of ``type`` of its own row. A whole float is an
    integer too, since pandas keeps integers with missing ones so, and midnight is a date.

    Raises:
        UserError: the contract itself is wrong.
    """

    def __init__(self, contract: Contract) -> None:
        import duckdb

        refuse_mistakes(contract)
        self.contract = contract
        self._columns = dict.fromkeys(contract.columns, "")
        view = View("", self._columns, {"#unread": ""})
        self._rules = [
            (rule, _test(rule, contract.columns[rule.columns[0]]))
            for rule in column_rules(contract, view)
        ]
        self._unique = unique_rules(contract, view)
        self._con = duckdb.connect(config={"threads": 1}) if contract.rules else None
        self._needed = [columns_of(self._con, rule.sql) for rule in contract.rules]

    def __call__(self, frame: pd.DataFrame, boundary: str = "serving") -> Report:
        """What of ``frame`` breaks the contract."""
        there = {str(name): "" for name in frame.columns}
        view = View("", there, {})
        raw = {name: frame[name].tolist() for name in self.contract.columns if name in there}
        values = {name: _read(raw[name], self.contract.columns[name]) for name in raw}
        broken: list[tuple[Rule, list[int]]] = []
        for rule, test in self._rules:
            if rule.columns[0] in values:
                rows = [n for n, value in enumerate(values[rule.columns[0]]) if test(value)]
                broken.append((rule, rows))
        lacking, computed = self._rows(values, len(frame))
        broken += computed
        breaches = structure(self.contract, view, lacking)
        breaches += [self._breach(rule, rows, raw) for rule, rows in broken if rows]
        for rule in self._unique:
            if all(name in values for name in rule.columns):
                again = _again([values[name] for name in rule.columns])
                if again:
                    breaches.append(self._breach(rule, list(again), raw, again))
        return Report(self.contract.table, boundary, len(frame), breaches).in_order(self.contract)

    def _breach(
        self,
        rule: Rule,
        rows: list[int],
        raw: dict[str, Values],
        again: dict[int, int] | None = None,
    ) -> Breach:
        shown = []
        for row in rows[:EXAMPLES]:
            cells = {name: None if _missing(v[row]) else v[row] for name, v in raw.items()}
            first = again[row] + 1 if again else None
            shown.append(tell({"": row + 1, **cells}, rule, self.contract, first))
        return rule.breach(len(rows), shown)

    def _rows(
        self, values: dict[str, Values], count: int
    ) -> tuple[dict[int, list[str]], list[tuple[Rule, list[int]]]]:
        """Row rules, in SQL: those that lack a column, and the rows that break the others."""
        lacking: dict[int, list[str]] = {}
        chosen: list[int] = []
        for number, needed in enumerate(self._needed):
            if lost := [name for name in needed if name not in values]:
                lacking[number] = lost
            else:
                chosen.append(number)
        if not chosen or not count or self._con is None:
            return lacking, []
        names = list(dict.fromkeys(name for number in chosen for name in self._needed[number]))
        rules = [
            Rule.of_rows(self.contract, number, tuple(self._needed[number])) for number in chosen
        ]
        lists = [f"unnest(?::{self._sql_type(name)}[]) AS {quoted(name)}" for name in names]
        given = [[_plain(value) for value in values[name]] for name in names]
        table = ", ".join([*lists, f'unnest(range({count})) AS "#row"'])
        conditions = ", ".join(str(rule.broken) for rule in rules)
        query = f'SELECT {conditions} FROM (SELECT {table}) ORDER BY "#row"'
        found = self._con.cursor().execute(query, given).fetchall()
        return lacking, [
            (rule, [row for row, verdicts in enumerate(found) if verdicts[place]])
            for place, rule in enumerate(rules)
        ]

    def _sql_type(self, name: str) -> str:
        return SQL_TYPES[self.contract.columns[name].type]


def without(contract: Contract, columns: Iterable[str]) -> Contract:
    """The contract of the same rows before ``columns`` are known, such as the target's."""
    gone = set(columns)
    fresh = contract.freshness
    rules = contract.rules
    if rules:
        with parser() as con:
            rules = [rule for rule in rules if not gone & set(columns_of(con, rule.sql))]
    return replace(
        contract,
        columns={name: rule for name, rule in contract.columns.items() if name not in gone},
        unique=[names for names in contract.unique if not gone & set(names)],
        freshness=None if fresh and fresh.column in gone else fresh,
        rules=rules,
    )


def _test(rule: Rule, column: ColumnRule) -> Callable[[Any], bool]:
    """Whether a value breaks a rule of its column; a missing one is None."""
    if rule.name == "type":
        return lambda value: value is _UNREAD
    if rule.name == "nullable":
        return lambda value: value is None
    if rule.name == "values":
        allowed = set(as_values(column))
        return lambda value: not _absent(value) and value not in allowed
    bound = as_value(column.type, getattr(column, rule.name))
    if rule.name == "minimum":
        return lambda value: not _absent(value) and value < bound
    return lambda value: not _absent(value) and value > bound


def _absent(value: Any) -> bool:
    return value is None or value is _UNREAD


def _missing(value: Any) -> bool:
    """None, NaN, NaT, or the NA of pandas, which is neither equal nor unequal to itself."""
    if value is None:
        return True
    try:
        return bool(value != value)
    except TypeError:
        return True
    except ValueError:  # an array
        return False


def _plain(value: Any) -> Any:
    return None if value is _UNREAD else value


def _read(values: Values, rule: ColumnRule) -> Values:
    read = _READ[rule.type]
    return [None if _missing(value) else read(value) for value in values]


def _integer(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, Integral | float):
        return _UNREAD
    if isinstance(value, float) and not value.is_integer():  # true of an infinite one, too
        return _UNREAD
    whole = int(value)
    return whole if -_BIGINT <= whole < _BIGINT else _UNREAD


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, Real):
        return _UNREAD
    return float(value)


def _boolean(value: Any) -> Any:
    return bool(value) if isinstance(value, bool) or type(value).__name__ == "bool" else _UNREAD


def _moment(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
    return datetime.combine(value, time()) if isinstance(value, date) else _UNREAD


def _date(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.date() if value.time() == time() else _UNREAD
    return value if isinstance(value, date) else _UNREAD


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, str) else _UNREAD


_READ: dict[str, Callable[[Any], Any]] = {
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "date": _date,
    "datetime": _moment,
    "text": _text,
}


def _again(keys: list[Values]) -> dict[int, int]:
    """Row -> the first row with the same values, for rows that repeat one."""
    first: dict[tuple[Any, ...], int] = {}
    found = {}
    for row, key in enumerate(zip(*keys, strict=True)):
        if not any(_absent(value) for value in key):
            found[row] = first.setdefault(key, row)
    return {row: one for row, one in found.items() if row != one}
