"""A card as Markdown that renders alike on any page: CommonMark and tables."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from .content import Card, Facts, Picture, Table

_ALWAYS = re.compile(r"[\\`*\[\]<>&|~$]")
_UNDERSCORE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")  # within a word it stands for itself
# What would begin a list, a heading or a line across.
_FIRST = re.compile(r"^(?:[#+\-](?=[\W#]|$)|\d+(?=[.)](?:\s|$)))")
_LONGEST, _LONGEST_CELL = 1000, 200  # characters

_DEPENDENCE = (
    "The prediction when every row is given the same value of one feature: the mean in colour, "
    "single rows in grey. Where features go together, some of these rows could not occur."
)


def to_markdown(card: Card) -> str:
    """The card as one text, with pictures by the names of their files."""
    blocks = [f"# {escape(card.title)}", escape(card.made), _items(card.summary)]
    blocks += ["## Model details", _facts(card.model)]
    blocks += ["## Intended use", _facts(card.use), card.intended_use.strip()]
    blocks += ["## Metrics", _items(card.metrics)]
    blocks += ["## Quantitative analyses", _table(card.scores), _table(card.others)]
    blocks += _pictures(card.curves)
    blocks += _headed("### Thresholds by cost", card.thresholds)
    blocks += _headed("### Factors: the slices that differ most", card.slices)
    if card.importance.rows:
        blocks += ["## Explanation", "### Permutation importance"]
        blocks += [*_pictures(card.ranked), _table(card.importance)]
    if card.dependence:
        blocks += ["### Partial dependence", _DEPENDENCE, *_pictures(card.dependence)]
    blocks += _headed("### Examples with the largest error", card.errors)
    blocks += ["## Training and evaluation data", _facts(card.data), _table(card.parts)]
    if card.notes:
        blocks += ["### What was decided about rows and columns", _items(card.notes)]
    blocks += _headed("### Contract", card.contract)
    blocks += ["## Caveats and recommendations", _items(card.limits)]
    how = card.reproduce
    blocks += ["## How to reproduce", "Run it again, apart, and compare every output:"]
    blocks += [_code(how.replay), "By hand:", _code(how.commands), _facts(how.facts)]
    blocks += ["### Environment", _facts(card.environment)]
    return "\n\n".join(block for block in blocks if block) + "\n"


def escape(text: str, most: int = _LONGEST) -> str:
    """``text`` of any origin as inline Markdown that shows it as it is, on one line."""
    seen = visible(" ".join(text.split()))
    seen = seen if len(seen) <= most else f"{seen[: most - 1]}…"
    seen = _ALWAYS.sub(r"\\\g<0>", seen)
    seen = _UNDERSCORE.sub(r"\\_", seen)
    if found := _FIRST.match(seen):
        # A number is escaped at its point; anything else before it.
        place = found.end() if found[0][0].isdigit() else 0
        seen = f"{seen[:place]}\\{seen[place:]}"
    return seen


def visible(text: str) -> str:
    """``text`` with ``�`` for what is invisible, or turns the direction of writing so that a reader
    would see something else, or is no character that a file can hold."""
    return "".join("�" if _hidden(char) else char for char in text)


def _hidden(char: str) -> bool:
    return char != "\n" and unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")


def _headed(heading: str, table: Table) -> list[str]:
    return [heading, _table(table)] if table.rows else []


def _items(lines: Iterable[str]) -> str:
    return "\n".join(f"- {escape(line)}" for line in lines)


def _facts(facts: Facts) -> str:
    return "\n".join(f"- **{escape(name)}** {escape(value)}" for name, value in facts.items())


def _table(table: Table) -> str:
    if not table.rows:
        return ""
    rules = ("--:" if number in table.numbers else "---" for number in range(len(table.columns)))
    lines = [_row(table.columns), f"| {' | '.join(rules)} |", *map(_row, table.rows)]
    note = f"\n\n{escape(table.note)}" if table.note else ""
    return "\n".join(lines) + note


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(escape(cell, _LONGEST_CELL) for cell in cells)} |"


def _pictures(pictures: Iterable[Picture]) -> list[str]:
    """Side by side: one paragraph."""
    return ["\n".join(f"![{escape(each.shows)}]({each.file})" for each in pictures)]


def _code(lines: Iterable[str]) -> str:
    """A block of code that no line of it can end."""
    text = visible("\n".join(lines))
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"
