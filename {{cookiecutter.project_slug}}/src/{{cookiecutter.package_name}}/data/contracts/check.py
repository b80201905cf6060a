"""Check a view against a contract: a few scans of aggregates, whatever the number of rows."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Literal

from ...errors import UserError
from .contract import Contract
from .examples import examples_of
from .report import Breach, Report
from .rules import (
    UNREAD,
    Rule,
    View,
    about,
    at_large,
    column_rules,
    look,
    row_rules,
    structure,
    unique_rules,
    unusable,
)
from .sql import quoted
from .validity import refuse_mistakes

if TYPE_CHECKING:
    import duckdb

# What is looked at: all of it; what a part of a table can break by itself; what only the whole can.
Scope = Literal["all", "part", "whole"]
_AT_ONCE = 300  # aggregates in one scan: wide tables are planned in bounded time


def check(
    con: duckdb.DuckDBPyConnection,
    view: str,
    contract: Contract,
    boundary: str,
    *,
    scope: Scope = "all",
    now: datetime | None = None,
) -> Report:
    """Find what in ``view`` breaks ``contract``; ``boundary`` is said in messages.

    A rule is broken where it is false; a missing value breaks only ``nullable``. NaN is missing.
    Of a table that is read in parts, each is checked with the scope ``part`` (columns, rows, and
    what is unique within it) and all of them together with ``whole`` (row counts, freshness, and
    what is unique among all).

    Args:
        now: the moment from which freshness is counted, the present one where it is None;
            without a time zone it is meant as UTC, as are the moments of the table.

    Raises:
        UserError: the contract itself is wrong, or a row rule cannot be computed.
    """
    refuse_mistakes(contract, con)
    found = look(con, view, contract)
    rows = found.read(contract)
    total = con.execute(f"SELECT count(*) FROM {quoted(view)}").fetchall()[0][0]
    breaches: list[Breach] = []
    if scope != "whole":
        single, lacking = row_rules(con, contract, found)
        breaches += structure(contract, found, lacking)
        counts = _count(con, rows, column_rules(contract, found), found)
        counts += _count(con, rows, single, found)
        breaches += examples_of(con, rows, found, contract, counts)
    unique = unique_rules(contract, found)
    repeated = [(rule, _repeated(con, rows, rule)) for rule in unique]
    breaches += examples_of(con, rows, found, contract, repeated)
    if scope != "part":
        breaches += _whole(con, rows, contract, found, total, now)
    return Report(contract.table, boundary, total, breaches).in_order(contract)


def _count(
    con: duckdb.DuckDBPyConnection, rows: str, rules: list[Rule], view: View
) -> list[tuple[Rule, int]]:
    """How many rows break each rule."""
    unread = _unread(con, view)
    counted = [(rule, unread.get(rule.columns[0], 0)) for rule in rules if rule.name == "type"]
    others = [rule for rule in rules if rule.name != "type" or rule.place[0] == "rules"]
    for start in range(0, len(others), _AT_ONCE):
        batch = others[start : start + _AT_ONCE]
        counted += zip(batch, _scan(con, rows, batch), strict=True)
    return counted


def _unread(con: duckdb.DuckDBPyConnection, view: View) -> dict[str, int]:
    """Rows whose text could not be read as its type, for each column that has such."""
    if UNREAD not in view.hidden:
        return {}
    unread = quoted(UNREAD)
    return dict(
        con.execute(
            f"SELECT name, count(*) FROM (SELECT unnest(list_distinct({unread})) AS name "
            f"FROM {quoted(view.name)} WHERE len({unread}) > 0) GROUP BY name"
        ).fetchall()
    )


def _scan(con: duckdb.DuckDBPyConnection, rows: str, rules: list[Rule]) -> list[int]:
    import duckdb

    counts = ", ".join(f"count(*) FILTER (WHERE {rule.broken}\n)" for rule in rules)
    try:
        return list(con.execute(f"SELECT {counts} FROM {rows}").fetchall()[0])
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        if len(rules) > 1:  # one at a time names the one
            return [_scan(con, rows, [rule])[0] for rule in rules]
        reason = str(error).split("\n")[0]
        raise UserError(
            f"the rule '{rules[0].name}' of {', '.join(rules[0].columns)} cannot be computed: "
            f"{reason} (in SQL: {rules[0].broken})"
        ) from error


def _repeated(con: duckdb.DuckDBPyConnection, rows: str, rule: Rule) -> int:
    """Rows that repeat an earlier one."""
    keys = ", ".join(quoted(name) for name in rule.columns)
    filled = " AND ".join(f"{quoted(name)} IS NOT NULL" for name in rule.columns)
    groups = f"SELECT count(*) AS n FROM {rows} WHERE {filled} GROUP BY {keys}"
    return int(con.execute(f"SELECT coalesce(sum(n - 1), 0) FROM ({groups})").fetchall()[0][0])


def _whole(
    con: duckdb.DuckDBPyConnection,
    rows: str,
    contract: Contract,
    view: View,
    total: int,
    now: datetime | None,
) -> list[Breach]:
    policy, breaches = at_large(contract.policy), []
    if total < contract.fewest_rows:
        says = f"{total:,} rows, fewer than {contract.fewest_rows:,}"
        breaches.append(about("rows", (), policy, says, ("fewest_rows",)))
    if contract.most_rows is not None and total > contract.most_rows:
        says = f"{total:,} rows, more than {contract.most_rows:,}"
        breaches.append(about("rows", (), policy, says, ("most_rows",)))
    fresh = contract.freshness
    if fresh is None or unusable((fresh.column,), view):
        return breaches
    newest = con.execute(f"SELECT max({quoted(fresh.column)}) FROM {rows}").fetchall()[0][0]
    says = _stale(newest, fresh.days, now or datetime.now(UTC))
    if says:
        breaches.append(about("freshness", (fresh.column,), policy, says, ("freshness",)))
    return breaches


def _stale(newest: date | datetime | None, days: float, now: datetime) -> str:
    if newest is None:
        return "no row has a date"
    if not isinstance(newest, datetime):
        newest = datetime.combine(newest, time.max)  # a date is as new as its last moment
    if now.tzinfo is not None:
        now = now.astimezone(UTC).replace(tzinfo=None)
    age = (now - newest).total_seconds() / 86_400
    if age <= days:
        return ""
    return (
        f"the newest is of {newest:%Y-%m-%d %H:%M}, {age:.1f} days ago; "
        f"at most {days:g} are allowed"
    )
