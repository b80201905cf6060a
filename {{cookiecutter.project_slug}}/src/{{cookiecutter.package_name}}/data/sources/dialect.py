"""How the rows of a text are written: delimiter, quotes, header. Told from its beginning."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ...config import ReadConfig
from ...errors import UserError
from .base import MISSING, unique_names

# A comma stands within numbers and text more often than those before it, a space more than all.
DELIMITERS = ("\t", "|", ";", ",", "\x1f", "\x01", "^", "~", "¦", ":", " ")
_NAMES = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " "}
_QUOTES = (('"', '"'), ('"', "\\"), ("'", "'"))  # a quote, and what comes before one within
_NUMBER = re.compile(r"\s*[-+]?(\d+|\d{1,3}([., '’\u00a0]\d{3})+)?([.,]?\d*)?([eE][-+]?\d+)?\s*")
_DATE = re.compile(r"\s*\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}\b.*|\s*\d{1,2}:\d{2}(:\d{2})?.*")
_LINE_END = re.compile(r"\r\n|\n|\r")
_EMPTY_LINES = re.compile(r"([ \t]*(\r\n|\n|\r))*")
_ROWS = 200  # below the first one, from which its meaning is told


@dataclass(frozen=True)
class Dialect:
    """How rows are written, and the names of their columns."""

    delimiter: str
    quote: str
    escape: str
    skip: int  # empty lines before the first one
    header: bool
    names: tuple[str, ...]
    notes: tuple[str, ...] = ()


def find_dialect(sample: str, whole: bool, read: ReadConfig, where: str) -> Dialect:
    """Tell the dialect of ``sample``, the beginning of a file (``whole``: all of it).

    Raises:
        UserError: data.read contradicts the file.
    """
    sample = sample.removeprefix("\ufeff")
    empty = _EMPTY_LINES.match(sample)
    assert empty  # it matches nothing as well
    skip, text = len(_LINE_END.findall(empty[0])), sample[empty.end() :]
    delimiter, quote, escape, rows = _structure(text, whole, read)
    first = rows[0] if rows else [""]
    header, notes = _has_header(first, rows[1:], read, where)
    if read.columns and len(read.columns) != len(first):
        raise UserError(
            f"data.read.columns: {len(read.columns)} names, but {where} has {len(first)} columns."
        )
    given = read.columns or (first if header else [f"column{n}" for n in range(1, len(first) + 1)])
    names, renamed = unique_names(given, where)
    if len({name.lower() for name in read.columns}) < len(read.columns):
        raise UserError(f"data.read.columns: two columns have one name: {', '.join(read.columns)}.")
    return Dialect(delimiter, quote, escape, skip, header, tuple(names), (*notes, *renamed))


def _structure(text: str, whole: bool, read: ReadConfig) -> tuple[str, str, str, list[list[str]]]:
    if read.delimiter:
        delimiter = _NAMES.get(read.delimiter, read.delimiter)
        for quote, escape in _QUOTES:
            rows = _split(text, whole, delimiter, quote, escape)
            if rows and len({len(row) for row in rows}) == 1:
                return delimiter, quote, escape, rows
        return delimiter, '"', '"', _split(text, whole, delimiter, '"', '"', strict=False)
    for quote, escape in _QUOTES:
        if quote == "'" and not re.search(r"(^|[,;\t|])'", text, re.MULTILINE):
            continue
        for delimiter in DELIMITERS:
            if delimiter not in text:
                continue
            rows = _split(text, whole, delimiter, quote, escape)
            if not rows or len(rows[0]) < 2 or len({len(row) for row in rows}) > 1:
                continue
            if delimiter in ": " and not _tabular(rows):
                continue
            return delimiter, quote, escape, rows
    # No delimiter splits every line alike: that of the first line, and reading says which line.
    start = _LINE_END.split(text, maxsplit=1)[0]
    delimiter = max(",;\t|", key=start.count)
    return delimiter, '"', '"', _split(text, whole, delimiter, '"', '"', strict=False)


def _split(
    text: str, whole: bool, delimiter: str, quote: str, escape: str, strict: bool = True
) -> list[list[str]]:
    """The rows of ``text``, less the last one if it may be cut; none where there is no telling."""
    if len(delimiter) > 1:
        text, delimiter = text.replace(delimiter, "\x1f"), "\x1f"
    doubled = quote == escape
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=delimiter,
        quotechar=quote,
        doublequote=doubled,
        escapechar=None if doubled else escape,
        strict=strict,
    )
    rows = []
    try:
        for row in reader:
            if row:
                rows.append(row)
    except csv.Error as error:
        # The sample may have been cut within quotes; anything else is another dialect.
        return rows if not whole and "unexpected end" in str(error) else []
    return rows if whole or len(rows) < 2 else rows[:-1]


def _tabular(rows: Sequence[Sequence[str]]) -> bool:
    """Whether a sign of prose parts a table here: some column of several rows is numbers."""
    below = rows[1:]
    return len(below) > 1 and any(
        all(_kind(cell, ()) == "number" for cell in column) for column in zip(*below, strict=True)
    )


def _has_header(
    first: Sequence[str], below: Sequence[Sequence[str]], read: ReadConfig, where: str
) -> tuple[bool, list[str]]:
    """Whether the first line holds names, by evidence: names are not like the values below them."""
    if read.header is not None:
        return read.header, []
    if read.columns and [c.strip() for c in first] == [c.strip() for c in read.columns]:
        return True, []
    below = [row for row in below[:_ROWS] if len(row) == len(first)]
    typed = {
        number: kind
        for number in range(len(first))
        if (kind := _kind_of([row[number] for row in below], read.missing)) in ("number", "date")
    }
    alike = [_kind(first[number], read.missing) in (kind, "") for number, kind in typed.items()]
    shown = ", ".join(first[:4]) + (", …" if len(first) > 4 else "")
    if not typed:
        if read.columns:
            return False, [f"{where}: no header, its columns are named by data.read.columns"]
        return True, [
            f"{where}: its first line ({shown}) is taken for the header; all columns are text"
        ]
    told = [_kind(first[number], read.missing) for number in typed]
    counting = not read.columns and _counting([first[number] for number in typed])
    if not all(alike) or not any(told) or counting:
        return True, []
    named = (
        "its columns are named by data.read.columns"
        if read.columns
        else f"its columns are named column1 to column{len(first)}; name them in data.read.columns"
    )
    return False, [f"{where}: no header, its first line ({shown}) is like the rows below; {named}"]


def _counting(cells: Sequence[str]) -> bool:
    """Years that follow each other, or numbers from 0: names of columns, although numbers."""
    if len(cells) < 2 or not all(re.fullmatch(r"\s*\d+\s*", cell) for cell in cells):
        return False
    numbers = [int(cell) for cell in cells]
    first = numbers[0]
    return (first == 0 or 1900 <= first <= 2100) and numbers == [
        *range(first, first + len(numbers))
    ]


def _kind_of(cells: Sequence[str], missing: Sequence[str]) -> str:
    kinds = Counter(kind for cell in cells if (kind := _kind(cell, missing)))
    if not kinds:
        return ""
    kind, count = kinds.most_common(1)[0]
    return kind if count >= 0.9 * kinds.total() else "text"


def _kind(cell: str, missing: Sequence[str]) -> str:
    plain = cell.strip()
    if plain in MISSING or plain in missing:
        return ""
    if _DATE.fullmatch(plain):
        return "date"
    if any(c.isdigit() for c in plain) and _NUMBER.fullmatch(plain):
        return "number"
    return "text"
