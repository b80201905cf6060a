"""Rows that break a contract's rules with the policy ``set_aside``: apart, with their reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .contract import Contract
from .examples import NUMBER, numbered
from .report import Breach, Report
from .rules import AS_IT_IS, View, look
from .sql import literal, quoted

if TYPE_CHECKING:
    import duckdb

REASONS = "#reasons"


def divide(
    con: duckdb.DuckDBPyConnection, view: str, contract: Contract, report: Report
) -> tuple[str, str]:
    """Two views: the rows of ``view`` that stay, and those set aside; each row is in one of them.

    A row is set aside when it breaks a rule of ``report`` whose policy is ``set_aside``; of rows
    that should be unique, all but the first. The second view has a column ``#reasons`` VARCHAR[]
    more, and keeps the hidden columns of a view cast from text, which the first leaves out. Both
    keep the order of rows, and the values as they are.
    """
    found = look(con, view, contract)
    kept, aside = f"{view}, kept", f"{view}, set aside"
    guilty = [breach for breach in report.of("set_aside") if breach.count]
    if guilty:
        marked = _marked(con, found, contract, guilty)
        columns = f"{quoted(AS_IT_IS)}.*"
    else:
        marked = f"(SELECT *, []::VARCHAR[] AS {quoted(REASONS)} FROM {quoted(view)})"
        columns = f"* EXCLUDE ({quoted(REASONS)})"
    for name, chosen in ((kept, "= 0"), (aside, "> 0")):
        hidden = ", ".join(map(quoted, found.hidden))
        less = f" EXCLUDE ({hidden})" if hidden and name == kept else ""
        more = f", {quoted(REASONS)}" if name == aside else ""
        con.execute(
            f"CREATE OR REPLACE TEMP VIEW {quoted(name)} AS SELECT *{less} FROM ("
            f"SELECT {columns}{more} FROM {marked} WHERE len({quoted(REASONS)}) {chosen})"
        ).fetchall()
    return kept, aside


def _marked(
    con: duckdb.DuckDBPyConnection, view: View, contract: Contract, guilty: list[Breach]
) -> str:
    """Each row as it is, and the reasons against it, none for most."""
    alone = [b for b in guilty if b.where]
    beside = [b for b in guilty if not b.where]
    # A CASE without ELSE is missing for the rows that do not break the rule.
    found = ", ".join(f"CASE WHEN {b.where}\nTHEN {literal(b.reason)} END" for b in alone)
    reasons = f"list_filter([{found}]::VARCHAR[], lambda reason: reason IS NOT NULL)"
    rows = view.read(contract, as_it_is=True)
    if not beside:
        return f"(SELECT {quoted(AS_IT_IS)}, {reasons} AS {quoted(REASONS)} FROM {rows})"
    repeats, number = quoted(f"{view.name}, repeats"), quoted(NUMBER)
    source, _ = numbered(view.read(contract))
    each = " UNION ALL ".join(_repeats(b, source) for b in beside)
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE {repeats} AS "
        f"SELECT {number}, list(reason ORDER BY place) AS again FROM ("
        f"SELECT *, row_number() OVER () AS place FROM ({each})) GROUP BY {number}"
    ).fetchall()
    # Ordered, since a join need not keep the order of rows.
    source, _ = numbered(rows)
    return (
        f"(SELECT {quoted(AS_IT_IS)}, "
        f"list_concat({reasons}, coalesce(again, []::VARCHAR[])) AS {quoted(REASONS)} "
        f"FROM {source} LEFT JOIN {repeats} USING ({number}) ORDER BY {number})"
    )


def _repeats(breach: Breach, source: str) -> str:
    keys = ", ".join(map(quoted, breach.columns))
    filled = " AND ".join(f"{quoted(name)} IS NOT NULL" for name in breach.columns)
    return (
        f"SELECT {quoted(NUMBER)}, {literal(breach.reason)} AS reason FROM {source} WHERE {filled} "
        f"QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY {quoted(NUMBER)}) > 1"
    )
