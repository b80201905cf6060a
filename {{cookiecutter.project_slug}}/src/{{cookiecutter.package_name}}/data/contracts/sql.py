"""Names, values and rules as DuckDB reads them."""

from __future__ import annotations

import math
from datetime import date
from typing import Any

SQL_TYPES = {
    "integer": "BIGINT",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "datetime": "TIMESTAMP",
    "text": "VARCHAR",
}
_WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
_INTEGERS = (*_WHOLE, *(f"U{name}" for name in _WHOLE))
_FLOATS = ("FLOAT", "DOUBLE")


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def literal(value: Any) -> str:
    """A number, truth value, date, datetime or text of Python as SQL."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return f"CAST('{value!r}' AS DOUBLE)"
    if isinstance(value, date):  # and datetime
        kind = "TIMESTAMP" if hasattr(value, "hour") else "DATE"
        return f"{kind} '{value.isoformat()}'"
    parts = ["'" + part.replace("'", "''") + "'" for part in value.split("\0")]
    return "(" + " || chr(0) || ".join(parts) + ")" if len(parts) > 1 else parts[0]


def fits(kind: str, column: str) -> bool:
    """Whether a column of DuckDB's type ``column`` holds values of a contract's type ``kind``."""
    whole = column in _INTEGERS or (column.startswith("DECIMAL(") and column.endswith(",0)"))
    return {
        "integer": whole,
        "number": whole or column in _FLOATS or column.startswith("DECIMAL("),
        "boolean": column == "BOOLEAN",
        "date": column == "DATE",
        "datetime": column.startswith("TIMESTAMP"),
        "text": column == "VARCHAR" or column.startswith("ENUM("),
    }[kind]


def floating(column: str) -> bool:
    return column in _FLOATS


def below(kind: str, column: str, bound: Any) -> str:
    """The condition under which ``column``, already SQL, is less than ``bound``."""
    return _beyond(kind, column, "<", bound)


def above(kind: str, column: str, bound: Any) -> str:
    return _beyond(kind, column, ">", bound)


def _beyond(kind: str, column: str, sign: str, bound: Any) -> str:
    if isinstance(bound, float) and math.isinf(bound):
        endless = (bound > 0) == (sign == "<")
        if kind == "integer":
            return f"{column} IS NOT NULL" if endless else "false"
    elif kind == "integer" and isinstance(bound, float):
        # A BIGINT beside a DOUBLE would be rounded; beside a whole number it is not.
        bound = math.ceil(bound) if sign == "<" else math.floor(bound)
    return f"{column} {sign} {literal(bound)}"
