"""What the columns of an HTML table hold: digits stand below digits, a date stays on one line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import unescape

ONE = r"[+\-−]?[$€£¥]?\d[\d,.'\u00a0\u202f_]*(?:e[+\-−]?\d+)?\s?[%‰]?"
NUMBER = re.compile(
    rf"{ONE}(?:\s?(?:±|\+/-)\s?{ONE})?|[\[(]{ONE}(?:\s?[,;–]\s?{ONE})?[\])]", re.IGNORECASE
)
DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+\-]\d\d:?\d\d)?)?")
NOTHING = {"", "nan", "none", "<na>", "nat", "null", "...", "…", "-", "–", "—", "inf", "-inf"}
LONGEST = 60  # characters of a number with its interval
MOST_SPAN = 1000


@dataclass
class Cell:
    """A cell: where its tag stands, its text, and its first column once it is placed."""

    place: int
    name: str
    attributes: dict[str, str | None]
    text: str = ""
    column: int = 0

    def span(self, name: str) -> int:
        given = self.attributes.get(name)
        if given is None or not re.fullmatch(r"[0-9]{1,6}", given):
            return 1
        return max(1, min(int(given), MOST_SPAN))


@dataclass
class Table:
    """The grid of one table, filled cell by cell as it is read."""

    place: int
    attributes: dict[str, str | None]
    rows: list[list[Cell]] = field(default_factory=list)
    taken: dict[int, int] = field(default_factory=dict)  # column -> rows it is still covered
    width: int = 0

    def row(self) -> None:
        self.rows.append([])
        self.taken = {column: left - 1 for column, left in self.taken.items() if left > 1}

    def cell(self, cell: Cell) -> None:
        if not self.rows:
            self.row()
        row = self.rows[-1]
        column = row[-1].column + row[-1].span("colspan") if row else 0
        while column in self.taken:
            column += 1
        cell.column = column
        row.append(cell)
        end = column + cell.span("colspan")
        if (down := cell.span("rowspan")) > 1:
            # counted from the next row on, where it is reduced before the first cell is placed
            self.taken.update(dict.fromkeys(range(column, end), down))
        self.width = max(self.width, end)

    def say(self, text: str) -> None:
        if self.rows and self.rows[-1] and len(self.rows[-1][-1].text) <= LONGEST:
            self.rows[-1][-1].text += text[: LONGEST + 1]

    def kinds(self) -> Iterator[tuple[Cell, str]]:
        """The cells of columns of numbers and of dates, with the heads above them."""
        seen: dict[int, set[str]] = {}
        for row in self.rows:
            for cell in row:
                if cell.name == "td" and (kind := _kind(cell.text)):
                    seen.setdefault(cell.column, set()).add(kind)
        for row in self.rows:
            is_head = all(cell.name == "th" for cell in row)
            for cell in row:
                if cell.span("colspan") == 1 and (cell.name == "td" or is_head):
                    kinds = seen.get(cell.column, set())
                    if len(kinds) == 1 and kinds != {"text"}:
                        yield cell, next(iter(kinds))


def _kind(source: str) -> str:
    """``number``, ``date`` or ``text``; empty for a cell that stands for no value."""
    text = unescape(source).strip()
    if text.lower() in NOTHING:
        return ""
    if len(text) > LONGEST:
        return "text"
    return "number" if NUMBER.fullmatch(text) else "date" if DATE.fullmatch(text) else "text"
