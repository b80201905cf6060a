"""What DuckDB says about a table that it cannot read, said to a person."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from ...errors import UserError
from .base import Part, Source, label_of

_LINE = re.compile(r"CSV Error on Line: (\d+)")
_ORIGINAL = re.compile(r"Original Line: ?(.*)")
_CELLS = re.compile(r"Expected Number of Columns: (\d+) Found: (\d+)")


@contextmanager
def reading(source: Source, part: Part | None = None) -> Iterator[None]:
    """A block that reads views of ``source``: text is looked at only when it is read.

    Raises:
        UserError: the rows cannot be read; names file and line, and how to mend it.
    """
    import duckdb

    label = label_of(source, part) if part else source.label
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise UserError(
            f"{label}: there is not enough memory or disk to read it ({_first(error)})."
        ) from error
    except duckdb.Error as error:
        raise UserError(
            f"{_where(label, str(error))}: not a readable table: {_why(str(error))}"
        ) from error


def _where(label: str, message: str) -> str:
    file = re.search(r"^  file = (.*)$", message, re.MULTILINE)
    # Of several files in one view, DuckDB names the one; a copy in UTF-8 has no name for a person.
    if file and "/.writing-" not in file[1]:
        return file[1]
    return label


def _why(message: str) -> str:
    line, original, cells = (p.search(message) for p in (_LINE, _ORIGINAL, _CELLS))
    if not line:
        if "not RFC 4180" in message or "CSV" in message:
            return "quotes and line ends do not fit together. Mend the quotes of the file."
        return f"{message.splitlines()[0]}."
    where = f"line {line[1]}"
    shown = f" ({original[1][:80]})" if original and original[1].strip() else ""
    if cells:
        found, expected = int(cells[2]), int(cells[1])
        count = f"{found} cell{'s' * (found != 1)} where the first line has {expected}"
        mend = "Mend the line, or name the delimiter in data.read.delimiter."
        return f"{where} has {count}{shown}. {mend}"
    if "quote" in message:
        return f"{where}{shown}: a quote is opened and not closed. Mend the line."
    if "unicode" in message.lower():
        return f"{where} is not UTF-8 text. Name its encoding in data.read.encoding."
    if "aximum line size" in message:
        return f"{where} is longer than 2 MB; is a quote missing, or is it no table?"
    return f"{where}{shown}: {message.splitlines()[1] if message.count(chr(10)) else message}"


def _first(error: Exception) -> str:
    return str(error).splitlines()[0]
