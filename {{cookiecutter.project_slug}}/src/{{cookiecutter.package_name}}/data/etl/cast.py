"""Rows of any types, cast to those of a contract; what cannot be read is kept as text beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..contracts.contract import ColumnRule, Contract
from ..contracts.rules import TEXT, UNREAD
from ..contracts.sql import SQL_TYPES, quoted
from ..contracts.sql import text as literal
from ..written import reading

if TYPE_CHECKING:
    import duckdb

ENDLESS = "#endless"  # hidden column: names of those with an infinite number, or none (NaN)
REFUSED = "#a cell cannot be read"
_FLOATS = ("FLOAT", "DOUBLE")
_INTEGERS = tuple(sign + kind for sign in ("", "U") for kind in
                  ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"))  # fmt: skip
_OFFSET = r".*\d{1,2}:\d{2}.*(Z|UTC|[+-]\d{2}(:?\d{2})?)\s*"
_EXACT = 2**53  # up to here a floating number tells every whole number


@dataclass(frozen=True)
class _Cell:
    """SQL of one column: its value, and when what stands there is no value of the type."""

    value: str
    unread: str | None = None
    endless: str | None = None
    text: str = ""


def cast(
    con: duckdb.DuckDBPyConnection,
    view: str,
    contract: Contract,
    missing: Sequence[str],
    to: str,
    whole: bool,
) -> None:
    """Make the view ``to``: the columns of ``contract`` in its order, of its types.

    Types: BIGINT, DOUBLE, BOOLEAN, DATE, TIMESTAMP (in UTC), VARCHAR. ``missing`` are the words
    that stand for no value in columns of text that are read as another type.

    With ``whole``, reading the view fails with :data:`REFUSED` in its message where a cell cannot
    be read. Otherwise there are hidden columns besides: ``#unread`` VARCHAR[] of the columns whose
    text could not be read in that row, ``#text`` VARCHAR[] of these texts, and ``#endless``
    VARCHAR[] of the columns with an infinite number, which counts as missing.
    """
    types = {name: kind for name, kind, *_ in con.execute(f"DESCRIBE {quoted(view)}").fetchall()}
    cells = {n: _cell(quoted(n), types[n], rule, missing) for n, rule in contract.columns.items()}
    chosen = {name: _refusing(cell) if whole else cell.value for name, cell in cells.items()}
    if not whole:
        unread = {name: cell for name, cell in cells.items() if cell.unread}
        endless = {name: cell for name, cell in cells.items() if cell.endless}
        chosen[UNREAD] = _listed([(cell.unread, literal(name)) for name, cell in unread.items()])
        chosen[TEXT] = _listed([(cell.unread, cell.text) for cell in unread.values()])
        chosen[ENDLESS] = _listed([(cell.endless, literal(name)) for name, cell in endless.items()])
    columns = ", ".join(f"{value} AS {quoted(name)}" for name, value in chosen.items())
    con.execute(f"CREATE OR REPLACE TEMP VIEW {quoted(to)} AS SELECT {columns} FROM {quoted(view)}")


def _refusing(cell: _Cell) -> str:
    wrong = " OR ".join(filter(None, (cell.unread, cell.endless)))
    if not wrong:
        return cell.value
    return f"CASE WHEN {wrong} THEN error({literal(REFUSED)}) ELSE {cell.value} END"


def _listed(cells: Sequence[tuple[str | None, str]]) -> str:
    """A list of the items whose condition is true; NULL where none is."""
    if not cells:
        return "NULL::VARCHAR[]"
    each = ", ".join(f"CASE WHEN {condition} THEN {item} END" for condition, item in cells)
    return f"nullif(list_filter([{each}], lambda item: item IS NOT NULL), []::VARCHAR[])"


def _cell(column: str, kind: str, rule: ColumnRule, missing: Sequence[str]) -> _Cell:
    if kind == "VARCHAR":
        return _of_text(column, rule, missing)
    text = f"CAST({column} AS VARCHAR)"
    if rule.type == "text":
        return _Cell(text)
    wrong = lambda value: f"{column} IS NOT NULL AND {value} IS NULL"  # noqa: E731
    number = kind in (*_FLOATS, *_INTEGERS) or kind.startswith("DECIMAL")
    if rule.type == "number" and number:
        value = f"CAST({column} AS DOUBLE)"
        if kind not in _FLOATS:
            return _Cell(value)
        finite = f"isfinite({column})"
        return _Cell(f"CASE WHEN {finite} THEN {value} END", None, f"NOT {finite}")
    if rule.type == "integer" and number:
        value = f"CASE WHEN {column} = trunc({column}) THEN TRY_CAST({column} AS BIGINT) END"
        if kind in _INTEGERS:
            value = f"TRY_CAST({column} AS BIGINT)"
        if kind not in _FLOATS:
            return _Cell(value, wrong(value), None, text)
        return _Cell(
            value, f"isfinite({column}) AND {value} IS NULL", f"NOT isfinite({column})", text
        )
    if rule.type == "boolean" and kind == "BOOLEAN":
        return _Cell(column)
    if rule.type == "date" and (kind == "DATE" or kind.startswith("TIMESTAMP")):
        moment = f"CAST({column} AS TIMESTAMP)"  # of one with a time zone: in UTC
        value = f"CASE WHEN CAST({moment} AS TIME) = TIME '00:00' THEN CAST({moment} AS DATE) END"
        return _Cell(column) if kind == "DATE" else _Cell(value, wrong(value), None, text)
    if rule.type == "datetime" and (kind == "DATE" or kind.startswith("TIMESTAMP")):
        value = f"TRY_CAST({column} AS TIMESTAMP)"
        return _Cell(value, wrong(value), None, text)
    return _of_text(text, rule, missing)


def _of_text(column: str, rule: ColumnRule, missing: Sequence[str]) -> _Cell:
    if rule.type == "text":
        return _Cell(column)
    read = f"({reading(column, rule)})"
    endless = None
    if rule.type == "integer":
        # What is written as a number, such as 1e5 or 3.0, and is whole.
        number = f"({reading(column, replace(rule, type='number'))})"
        whole = f"abs({number}) < {_EXACT} AND {number} = trunc({number})"
        other = f"CASE WHEN {whole} THEN CAST({number} AS BIGINT) END"
        usual = f"TRY_CAST({column} AS BIGINT)"
        value = _first(f"CAST({usual} AS VARCHAR) = {column}", usual, f"coalesce({read}, {other})")
        endless = f"NOT isfinite({number})"
    elif rule.type == "number":
        usual = f"TRY_CAST({column} AS DOUBLE)"
        plain = f"isfinite({usual}) AND NOT contains({column}, '_')"
        if rule.decimal == ",":
            usual = f"TRY_CAST(replace({column}, ',', '.') AS DOUBLE)"
            # "1.5" is no number here, and 1.500 is one thousand five hundred.
            plain = f"isfinite({usual}) AND NOT regexp_matches({column}, '[._]')"
        odd = f"CASE WHEN isfinite({read}) AND NOT contains({column}, '_') THEN {read} END"
        value = _first(plain, usual, odd)
        endless = f"NOT isfinite({read})"
    elif rule.type == "date":
        # A time of day is not dropped: what has one is no date.
        moment = f"({reading(column, replace(rule, type='datetime'))})"
        day = f"CASE WHEN CAST({moment} AS TIME) = TIME '00:00' THEN CAST({moment} AS DATE) END"
        usual = f"TRY_CAST({column} AS DATE)"
        plain = f"length({column}) = 10 AND CAST({usual} AS VARCHAR) = {column}"
        value = day if rule.format else _first(plain, usual, day)
    elif rule.type == "datetime" and rule.format is None:
        usual = f"TRY_CAST({column} AS TIMESTAMP)"
        plain = f"length({column}) BETWEEN 19 AND 26 AND CAST({usual} AS VARCHAR) = {column}"
        moment = f"CAST(TRY_CAST(trim({column}) AS TIMESTAMPTZ) AS TIMESTAMP)"
        zoned = f"regexp_full_match({column}, {literal(_OFFSET)})"
        value = _first(plain, usual, _first(zoned, moment, read))
    else:
        value = read
    value = f"CAST({value} AS {SQL_TYPES[rule.type]})"
    words = ", ".join(literal(word) for word in missing)
    unread = f"{column} IS NOT NULL AND {value} IS NULL AND trim({column}) NOT IN ({words})"
    if endless:
        infinite = f"{column} IS NOT NULL AND {value} IS NULL AND coalesce({endless}, false)"
        return _Cell(value, f"{unread} AND NOT coalesce({endless}, false)", infinite, column)
    return _Cell(value, unread, None, column)


def _first(condition: str, usual: str, otherwise: str) -> str:
    """Most cells are written the usual way, which is quicker to try than all the others."""
    return f"CASE WHEN {condition} THEN {usual} ELSE {otherwise} END"
