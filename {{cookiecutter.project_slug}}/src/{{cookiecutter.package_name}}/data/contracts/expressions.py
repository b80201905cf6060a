"""The SQL of row rules: one expression over the columns of a row, true, false or missing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ...errors import nearest
from .sql import SQL_TYPES, quoted

if TYPE_CHECKING:
    import duckdb

# What would make the verdict on a row depend on other rows, or on chance.
_BEYOND_A_ROW = {"SUBQUERY": "a query within", "WINDOW": "a window over other rows"}
_CHANCE = {"random", "uuid", "gen_random_uuid", "nextval", "now", "today", "current_date"}


@contextmanager
def parser(given: duckdb.DuckDBPyConnection | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection for what needs no data: the one there is, or one without threads of its own."""
    import duckdb

    if given is not None:
        yield given
        return
    with duckdb.connect(config={"threads": 1}) as con:
        yield con


def explain(
    expressions: Sequence[str],
    types: Mapping[str, str],
    con: duckdb.DuckDBPyConnection | None = None,
) -> dict[int, str]:
    """What is wrong with each expression that is no rule over columns of ``types``, by number."""
    found = {}
    columns = ", ".join(
        f"NULL::{SQL_TYPES[kind]} AS {quoted(name)}" for name, kind in types.items()
    )
    with parser(con) as con:
        for number, sql in enumerate(expressions):
            wrong = _syntax(con, sql) or _meaning(con, sql, f"(SELECT {columns})", types)
            if wrong:
                found[number] = wrong
    return found


def columns_of(con: duckdb.DuckDBPyConnection, sql: str) -> list[str]:
    """The columns that an expression names, in its order."""
    found = []
    for node in _walk(_parsed(con, sql)):
        if node.get("class") == "COLUMN_REF":
            found.append(str(node["column_names"][-1]))
    return list(dict.fromkeys(found))


def _parsed(con: duckdb.DuckDBPyConnection, sql: str) -> Any:
    text = con.execute("SELECT json_serialize_sql(?)", [f"SELECT\n{sql}\n"]).fetchall()[0][0]
    return json.loads(text)


def _syntax(con: duckdb.DuckDBPyConnection, sql: str) -> str:
    """Rules are computed within brackets; here there are none, so none are closed or opened."""
    parsed = _parsed(con, sql)
    if parsed["error"]:
        return f"{sql!r} is no SQL expression: {parsed['error_message']}."
    statements = parsed["statements"]
    if len(statements) != 1:
        return f"{sql!r} is more than one expression."
    node = statements[0]["node"]
    chosen = node.get("select_list", [])
    plain = node.get("from_table", {}).get("type") == "EMPTY" and not node.get("where_clause")
    if len(chosen) != 1 or not plain or node.get("modifiers"):
        return f"{sql!r} is more than one expression."
    for part in _walk(chosen[0]):
        if part.get("class") in _BEYOND_A_ROW:
            return f"{sql!r} holds {_BEYOND_A_ROW[part['class']]}; a rule is about one row."
        if part.get("class") == "FUNCTION" and part.get("function_name") in _CHANCE:
            return f"{sql!r}: {part['function_name']} gives another answer each time."
    return ""


def _meaning(con: duckdb.DuckDBPyConnection, sql: str, table: str, types: Mapping[str, str]) -> str:
    import duckdb

    try:
        con.execute(f"EXPLAIN SELECT 1 FROM {table} WHERE (\n{sql}\n)").fetchall()
        kind = con.execute(f"DESCRIBE SELECT (\n{sql}\n) FROM {table}").fetchall()[0][1]
    except duckdb.Error as error:
        reason = str(error).split("\n")[0]
        unknown = re.search(r'column "(.*)" not found', reason)
        hint = nearest(unknown[1], types) if unknown else ""
        return f"{sql!r}: {reason.removeprefix('Binder Error: ')}{hint}"
    if kind not in ("BOOLEAN", '"NULL"'):
        return f"{sql!r} gives {kind}, neither true nor false."
    return ""


def _walk(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, list):
        for each in node:
            yield from _walk(each)
