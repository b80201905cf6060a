"""A few of the rows that break a rule, as text a person can look for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .contract import Contract
from .report import Breach
from .rules import TEXT, UNREAD, Rule, View
from .sql import literal, quoted

if TYPE_CHECKING:
    import duckdb

EXAMPLES = 5
_CELLS = 6  # in one example: those of the rule first, then what names the row
_LONGEST = 40
_AT_ONCE = 300
NUMBER = "#number"


def numbered(rows: str) -> tuple[str, str]:
    """The rows with their number, from 1 on in their order; and the name of that column."""
    return f"(SELECT *, row_number() OVER () AS {quoted(NUMBER)} FROM {rows})", quoted(NUMBER)


def examples_of(
    con: duckdb.DuckDBPyConnection,
    rows: str,
    view: View,
    contract: Contract,
    counts: list[tuple[Rule, int]],
) -> list[Breach]:
    """The rules that are broken, with the first rows that break them."""
    broken = [(rule, count) for rule, count in counts if count]
    found: list[Breach] = []
    for start in range(0, len(broken), _AT_ONCE):
        batch = broken[start : start + _AT_ONCE]
        numbers = _first(con, rows, [rule for rule, _ in batch])
        cells = _cells(con, rows, view, contract, [rule for rule, _ in batch], numbers)
        for (rule, count), wanted in zip(batch, numbers, strict=True):
            shown = [tell(cells[number], rule, contract, again) for number, again in wanted]
            found.append(rule.breach(count, shown))
    return found


def _first(
    con: duckdb.DuckDBPyConnection, rows: str, rules: list[Rule]
) -> list[list[tuple[int, int | None]]]:
    """For each rule the numbers of the first rows that break it, and of those they repeat."""
    source, number = numbered(rows)
    plain = [rule for rule in rules if rule.broken]
    found: dict[int, list[tuple[int, int | None]]] = {}
    if plain:
        firsts = ", ".join(
            f"min({number}, {EXAMPLES}) FILTER (WHERE {rule.broken}\n)" for rule in plain
        )
        lists = con.execute(f"SELECT {firsts} FROM {source}").fetchall()[0]
        for rule, numbers in zip(plain, lists, strict=True):
            found[id(rule)] = [(each, None) for each in numbers or []]
    for rule in rules:
        if not rule.broken:
            keys = ", ".join(quoted(name) for name in rule.columns)
            filled = " AND ".join(f"{quoted(name)} IS NOT NULL" for name in rule.columns)
            found[id(rule)] = con.execute(
                f"SELECT max({number}) AS last, min({number}) FROM {source} WHERE {filled} "
                f"GROUP BY {keys} HAVING count(*) > 1 ORDER BY last LIMIT {EXAMPLES}"
            ).fetchall()
    return [found[id(rule)] for rule in rules]


def _cells(
    con: duckdb.DuckDBPyConnection,
    rows: str,
    view: View,
    contract: Contract,
    rules: list[Rule],
    numbers: list[list[tuple[int, int | None]]],
) -> dict[int, dict[str, Any]]:
    """Row number -> column -> its text; only columns that are shown."""
    wanted = sorted({number for each in numbers for number, _ in each})
    names = dict.fromkeys(name for rule in rules for name in _shown(rule, contract))
    names = {name: None for name in names if name in view.types}
    source, number = numbered(rows)
    chosen = [number, *(f"CAST({quoted(name)} AS VARCHAR)" for name in names)]
    unread = [rule.columns[0] for rule in rules if rule.name == "type"]
    chosen += [_original(view, name) for name in unread]
    listed = ", ".join(map(str, wanted)) or "NULL"
    found = {}
    for row in con.execute(
        f"SELECT {', '.join(chosen)} FROM {source} WHERE {number} IN ({listed})"
    ).fetchall():
        cells = dict(zip(names, row[1:], strict=False))
        for name, original in zip(unread, row[1 + len(names) :], strict=True):
            if original is not None:
                cells[name] = original
        found[row[0]] = {"": row[0], **cells}
    return found


def _original(view: View, name: str) -> str:
    """The text of a value that could not be read, where the view has kept it."""
    kind, column, key = view.hidden.get(TEXT), quoted(TEXT), literal(name)
    if UNREAD not in view.hidden or kind is None:
        return "NULL"
    if kind.endswith("[]"):
        return f"list_extract({column}, list_position({quoted(UNREAD)}, {key}))"
    if kind.startswith("MAP"):
        return f"{column}[{key}]"
    return f"struct_extract({column}, {key})"


def _shown(rule: Rule, contract: Contract) -> list[str]:
    """The columns of an example: those of the rule, then what names the row."""
    keys = [name for name, each in contract.columns.items() if each.unique]
    names = [
        *rule.columns,
        *keys,
        *(n for each in contract.unique for n in each),
        *contract.columns,
    ]
    return list(dict.fromkeys(names))[: max(_CELLS, len(rule.columns[:12]))]


def tell(cells: dict[str, Any], rule: Rule, contract: Contract, again: int | None) -> str:
    shown = [name for name in _shown(rule, contract) if name in cells]
    own = [_cell(name, cells, contract) for name in shown if name in rule.columns]
    rest = [_cell(name, cells, contract) for name in shown if name not in rule.columns]
    repeats = f", as in row {again}" if again is not None else ""
    return f"row {cells['']}: {', '.join(own)}{repeats}" + (f" ({', '.join(rest)})" if rest else "")


def _cell(name: str, cells: dict[str, Any], contract: Contract) -> str:
    value = cells[name]
    if value is None:
        return f"{name} is missing"
    value = str(value)
    short = value if len(value) <= _LONGEST else value[: _LONGEST - 1] + "…"
    words = contract.columns[name].type == "text" if name in contract.columns else True
    return f"{name}={short!r}" if words or not short.isprintable() else f"{name}={short}"
