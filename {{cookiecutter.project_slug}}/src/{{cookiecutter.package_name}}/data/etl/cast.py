"""Rows of any types, cast to those of a contract; what cannot be read is kept as text beside it.

Nearly all cells are written in the usual way of their type, which is quick to try. Where every cell
is, one pass reads the table (:func:`cast_usual`). Otherwise the columns concerned are found
(:func:`odd_columns`) and read with all the ways of :mod:`..written` (:func:`cast_carefully`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..contracts.contract import ColumnRule, Contract
from ..contracts.rules import TEXT, UNREAD
from ..contracts.sql import SQL_TYPES, literal, quoted
from ..written import reading

if TYPE_CHECKING:
    import duckdb

ENDLESS = "#endless"  # hidden column: names of those with an infinite number, or none (NaN)
REFUSED = "#a cell is not written the usual way"
_FLOATS = ("FLOAT", "DOUBLE")
_KINDS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
_INTEGERS = (*_KINDS, *(f"U{kind}" for kind in _KINDS))
_OFFSET = r".*\d{1,2}:\d{2}.*(Z|UTC|[+-]\d{2}(:?\d{2})?)\s*"
_EXACT = 2**53  # up to here a floating number tells every whole number


@dataclass(frozen=True)
class _Reading:
    """How a column is read, as SQL. ``§c`` stands for its cell, ``§v`` for the usual reading of it.

    :func:`_tried` computes both once, however often they are named.
    """

    cell: str  # of the source's own column
    usual: str  # of §c
    fits: str | None = None  # whether §v is what §c means; None: always
    otherwise: str = "NULL"  # of §c, where §v does not fit
    endless: str = "false"  # of §c, where §v does not fit: a number, but none that is finite


def cast_usual(con: duckdb.DuckDBPyConnection, view: str, contract: Contract, to: str) -> None:
    """Make the view ``to``: the columns of ``contract`` in its order, of its types.

    BIGINT, DOUBLE, BOOLEAN, DATE, TIMESTAMP (in UTC) and VARCHAR. Reading the view fails with
    :data:`REFUSED` in the message where a cell is not written the usual way.
    """
    chosen = []
    for number, (name, way) in enumerate(_ways(con, view, contract).items()):
        c, v = f'"{number}c"', f'"{number}v"'
        value = v
        if way.fits:
            fits = _over(way.fits, c, v)
            refuse = f"error({literal(REFUSED)})"
            value = f"CASE WHEN {fits} THEN {v} WHEN {c} IS NULL THEN NULL ELSE {refuse} END"
        chosen.append(f"{value} AS {quoted(name)}")
    _make(con, to, chosen, _tried(con, view, contract))


def odd_columns(con: duckdb.DuckDBPyConnection, view: str, contract: Contract) -> list[str]:
    """The columns where a cell is not written the usual way; one scan."""
    asked = {}
    for number, (name, way) in enumerate(_ways(con, view, contract).items()):
        if way.fits:
            c, v = f'"{number}c"', f'"{number}v"'
            fits = _over(way.fits, c, v)
            asked[name] = f"bool_or({c} IS NOT NULL AND ({fits}) IS NOT TRUE)"
    if not asked:
        return []
    query = f"SELECT {', '.join(asked.values())} FROM {_tried(con, view, contract)}"
    found = con.execute(query).fetchall()[0]
    return [name for name, odd in zip(asked, found, strict=True) if odd]


def cast_carefully(
    con: duckdb.DuckDBPyConnection,
    view: str,
    contract: Contract,
    missing: Sequence[str],
    odd: Collection[str],
    to: str,
) -> None:
    """Make the view ``to`` as :func:`cast_usual` does, with every way to read the columns ``odd``.

    ``missing`` are words for no value, also with spaces around them. What can be read in no way is
    NULL, and told in hidden columns: ``#unread`` VARCHAR[] of the columns whose text could not be
    read in that row, ``#text`` VARCHAR[] of these texts, and ``#endless`` VARCHAR[] of the columns
    with an infinite number, which counts as missing.
    """
    ways = _ways(con, view, contract)
    words = ", ".join(literal(word) for word in missing)
    read, chosen = [], []
    unread: list[tuple[str, str, str]] = []
    endless: list[tuple[str, str]] = []
    for number, (name, way) in enumerate(ways.items()):
        c, v, e = f'"{number}c"', f'"{number}v"', f'"{number}e"'
        chosen.append(f"{v} AS {quoted(name)}")
        if name not in odd or not way.fits:
            read.append(v)
            continue
        fits, kind = _over(way.fits, c, v), SQL_TYPES[contract.columns[name].type]
        other = f"CAST({_over(way.otherwise, c, v)} AS {kind})"
        read.append(f"{c}, CASE WHEN {fits} THEN {v} ELSE {other} END AS {v}")
        read.append(f"CASE WHEN {fits} OR {c} IS NULL THEN false ELSE "
                    f"coalesce({_over(way.endless, c, v)}, false) END AS {e}")  # fmt: skip
        wrong = f"{v} IS NULL AND {c} IS NOT NULL AND NOT {e}"
        text = f"CAST({c} AS VARCHAR)"
        unread.append((f"{wrong} AND trim({text}) NOT IN ({words})", literal(name), text))
        endless.append((e, literal(name)))
    chosen += [
        f"{_listed([(wrong, name) for wrong, name, _ in unread])} AS {quoted(UNREAD)}",
        f"{_listed([(wrong, text) for wrong, _, text in unread])} AS {quoted(TEXT)}",
        f"{_listed(endless)} AS {quoted(ENDLESS)}",
    ]
    _make(con, to, chosen, f"(SELECT {', '.join(read)} FROM {_tried(con, view, contract)})")


def _make(con: duckdb.DuckDBPyConnection, to: str, columns: Sequence[str], rows: str) -> None:
    query = f"SELECT {', '.join(columns)} FROM {rows}"
    con.execute(f"CREATE OR REPLACE TEMP VIEW {quoted(to)} AS {query}")


def _tried(con: duckdb.DuckDBPyConnection, view: str, contract: Contract) -> str:
    """A subquery with each column as it is (``0c``, …) and as it is usually read (``0v``, …)."""
    cells, values = [], []
    for number, way in enumerate(_ways(con, view, contract).values()):
        c = f'"{number}c"'
        cells.append(f"{way.cell} AS {c}")
        values.append(f'{c}, {_over(way.usual, c, "")} AS "{number}v"')
    inner = f"SELECT {', '.join(cells)} FROM {quoted(view)}"
    return f"(SELECT {', '.join(values)} FROM ({inner}))"


def _over(sql: str, cell: str, value: str) -> str:
    return sql.replace("§c", cell).replace("§v", value)


def _listed(cells: Sequence[tuple[str, str]]) -> str:
    """A list of the items whose condition is true; NULL where none is."""
    if not cells:
        return "NULL::VARCHAR[]"
    each = ", ".join(f"CASE WHEN {condition} THEN {item} END" for condition, item in cells)
    return f"nullif(list_filter([{each}], lambda item: item IS NOT NULL), []::VARCHAR[])"


def _ways(con: duckdb.DuckDBPyConnection, view: str, contract: Contract) -> dict[str, _Reading]:
    types = {name: kind for name, kind, *_ in con.execute(f"DESCRIBE {quoted(view)}").fetchall()}
    return {name: _way(quoted(name), types[name], rule) for name, rule in contract.columns.items()}


def _way(column: str, kind: str, rule: ColumnRule) -> _Reading:
    if kind == "VARCHAR":
        return _of_text(column, rule)
    number = kind in (*_FLOATS, *_INTEGERS) or kind.startswith("DECIMAL")
    moment = kind == "DATE" or kind.startswith("TIMESTAMP")
    endless = "NOT isfinite(§c)" if kind in _FLOATS else "false"
    if kind in _FLOATS:
        column = (
            f"CASE WHEN NOT isnan({column}) THEN {column} END"  # NaN is how pandas writes missing
        )
    if rule.type == "number" and number:
        fits = "isfinite(§v)" if kind in _FLOATS else None
        return _Reading(column, "CAST(§c AS DOUBLE)", fits, endless=endless)
    if rule.type == "integer" and number:
        fits = None if kind == "BIGINT" else "§v = §c"
        return _Reading(column, "TRY_CAST(§c AS BIGINT)", fits, endless=endless)
    if rule.type == "boolean" and kind == "BOOLEAN":
        return _Reading(column, "§c")
    if rule.type == "date" and moment:
        return _Reading(column, "TRY_CAST(§c AS DATE)", None if kind == "DATE" else "§v = §c")
    if rule.type == "datetime" and moment:
        return _Reading(column, "TRY_CAST(§c AS TIMESTAMP)", "§v IS NOT NULL")
    return _of_text(f"CAST({column} AS VARCHAR)", rule)


def _of_text(column: str, rule: ColumnRule) -> _Reading:
    if rule.type == "text":
        return _Reading(column, "§c")
    read = f"({reading('§c', rule)})"
    if rule.type == "integer":
        # What is written as a number, such as 1e5 or 3.0, and is whole.
        number = f"({reading('§c', replace(rule, type='number'))})"
        whole = f"abs({number}) < {_EXACT} AND {number} = trunc({number}) AND NOT contains(§c, '_')"
        other = f"coalesce({read}, CASE WHEN {whole} THEN CAST({number} AS BIGINT) END)"
        usual = "TRY_CAST(§c AS BIGINT)"
        return _Reading(column, usual, "CAST(§v AS VARCHAR) = §c", other, f"NOT isfinite({number})")
    if rule.type == "number":
        other = f"CASE WHEN isfinite({read}) AND NOT contains(§c, '_') THEN {read} END"
        if rule.decimal == ",":  # and so 1.500 is one thousand five hundred
            usual = "TRY_CAST(replace(§c, ',', '.') AS DOUBLE)"
            fits = "isfinite(§v) AND NOT contains(§c, '_') AND NOT contains(§c, '.')"
        else:
            usual, fits = "TRY_CAST(§c AS DOUBLE)", "isfinite(§v) AND NOT contains(§c, '_')"
        return _Reading(column, usual, fits, other, f"NOT isfinite({read})")
    if rule.type == "date":
        # A time of day is not dropped: what has one is no date.
        moment = f"({reading('§c', replace(rule, type='datetime'))})"
        other = f"CASE WHEN CAST({moment} AS TIME) = TIME '00:00' THEN CAST({moment} AS DATE) END"
        if rule.format:
            return _Reading(column, other, "§v IS NOT NULL")
        fits = "length(§c) = 10 AND CAST(§v AS VARCHAR) = §c"
        return _Reading(column, "TRY_CAST(§c AS DATE)", fits, other)
    if rule.type == "datetime" and rule.format is None:
        zoned = "CAST(TRY_CAST(trim(§c) AS TIMESTAMPTZ) AS TIMESTAMP)"
        other = f"CASE WHEN regexp_full_match(§c, {literal(_OFFSET)}) THEN {zoned} ELSE {read} END"
        fits = "length(§c) BETWEEN 19 AND 26 AND CAST(§v AS VARCHAR) = replace(§c, 'T', ' ')"
        return _Reading(column, "TRY_CAST(§c AS TIMESTAMP)", fits, other)
    return _Reading(column, f"CAST({read} AS {SQL_TYPES[rule.type]})", "§v IS NOT NULL")
