"""How values are written in text, and the SQL that reads them as the contract's types.

A sample proposes (:func:`candidates`), the whole table decides (:mod:`.profile`). The same SQL
then reads the rows, so what the profile saw is what training gets.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from .contracts.contract import ColumnRule, Type
from .contracts.sql import literal

# Words for true and false, in small letters. 0 and 1 stay numbers.
WORDS = (
    ("true", "false"),
    ("t", "f"),
    ("yes", "no"),
    ("y", "n"),
    ("on", "off"),
    ("ja", "nein"),
    ("oui", "non"),
    ("si", "no"),
    ("sí", "no"),
    ("wahr", "falsch"),
)
_WHOLE = r"[+-]?\d+"
_EXPONENT = r"([eE][+-]?\d+)?"
_ENDLESS = r"[+-]?([iI][nN][fF]([iI][nN][iI][tT][yY])?|[nN][aA][nN])"
# Digits in groups of three, with what separates them beside each decimal sign.
_GROUPED = {
    ".": r"[+-]?\d{1,3}(,\d{3})+",
    ",": r"[+-]?\d{1,3}([. '’\x{a0}]\d{3})+",
}
_SEPARATORS = ". '’\xa0"  # of thousands, where the comma is the decimal sign
_NUMBER = {
    ".": rf"({_WHOLE}|{_GROUPED['.']})(\.\d*)?{_EXPONENT}|[+-]?\.\d+{_EXPONENT}|{_ENDLESS}",
    ",": rf"({_WHOLE}|{_GROUPED[',']})(,\d*)?{_EXPONENT}|[+-]?,\d+{_EXPONENT}|{_ENDLESS}",
}
_LEADING_ZERO = re.compile(r"[+-]?0\d+")
_ISO = r"\d{4}-\d{1,2}-\d{1,2}"
# Shape of a day -> the ways to read it, as strftime writes them; None is ISO 8601.
_DAYS: dict[str, tuple[str | None, ...]] = {
    _ISO: (None,),
    r"\d{4}/\d{1,2}/\d{1,2}": ("%Y/%m/%d",),
    r"\d{4}\.\d{1,2}\.\d{1,2}": ("%Y.%m.%d",),
    r"\d{1,2}/\d{1,2}/\d{4}": ("%d/%m/%Y", "%m/%d/%Y"),
    r"\d{1,2}/\d{1,2}/\d{2}": ("%d/%m/%y", "%m/%d/%y"),
    r"\d{1,2}-\d{1,2}-\d{4}": ("%d-%m-%Y", "%m-%d-%Y"),
    r"\d{1,2}-\d{1,2}-\d{2}": ("%d-%m-%y", "%m-%d-%y"),
    r"\d{1,2}\.\d{1,2}\.\d{4}": ("%d.%m.%Y",),
    r"\d{1,2}\.\d{1,2}\.\d{2}": ("%d.%m.%y",),
    r"\d{1,2} [A-Za-z]{3,9} \d{4}": ("%d %b %Y", "%d %B %Y"),
    r"\d{1,2}-[A-Za-z]{3,9}-\d{4}": ("%d-%b-%Y", "%d-%B-%Y"),
    r"\d{1,2}-[A-Za-z]{3}-\d{2}": ("%d-%b-%y",),
    r"\d{1,2}/[A-Za-z]{3}/\d{4}": ("%d/%b/%Y",),
    r"[A-Za-z]{3,9} \d{1,2}, \d{4}": ("%b %d, %Y", "%B %d, %Y"),
    r"\d{4}-\d{2}": ("%Y-%m",),
}
# Shape of a time of day -> how strftime writes it.
_TIMES = {
    r"\d{1,2}:\d{2}": "%H:%M",
    r"\d{1,2}:\d{2}:\d{2}": "%H:%M:%S",
    r"\d{1,2}:\d{2}:\d{2}\.\d+": "%H:%M:%S.%f",
    r"\d{1,2}:\d{2} [AaPp][Mm]": "%I:%M %p",
    r"\d{1,2}:\d{2}:\d{2} [AaPp][Mm]": "%I:%M:%S %p",
}
_ISO_MOMENT = re.compile(
    _ISO + r"([ T]\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?( ?(Z|UTC|[+-]\d{2}(:?\d{2})?))?)?"
)
_COMPACT = re.compile(r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])")
_PYTHON_NUMBER = {sign: re.compile(p.replace(r"\x{a0}", "\xa0")) for sign, p in _NUMBER.items()}
_PYTHON_WHOLE = re.compile(_WHOLE)
_PYTHON_GROUPED = {sign: re.compile(p.replace(r"\x{a0}", "\xa0")) for sign, p in _GROUPED.items()}
_SHAPES = [(re.compile(shape), ways) for shape, ways in _DAYS.items()]
_CLOCK = [(re.compile(shape), way) for shape, way in _TIMES.items()]
_Share = Callable[[Iterable[str]], float]
_LIKELY = 0.95  # of the sampled values; the whole table asks for more


@dataclass(frozen=True)
class Written:
    """One way to read a column of text."""

    type: Type
    format: str | None = None
    decimal: str = "."
    true: list[str] = field(default_factory=list)
    false: list[str] = field(default_factory=list)


def reading(column: str, rule: Written | ColumnRule) -> str:
    """SQL that reads the text in ``column`` (an SQL expression) as ``rule`` says, or gives NULL.

    BIGINT, DOUBLE, BOOLEAN, DATE, TIMESTAMP or VARCHAR.
    """
    text = f"trim({column})"
    if rule.type == "integer":
        separators = "," if rule.decimal == "." else _SEPARATORS
        plain = f"translate({text}, {literal(separators)}, '')"
        shape = literal(f"{_WHOLE}|{_GROUPED[rule.decimal]}")
        return f"CASE WHEN regexp_full_match({text}, {shape}) THEN TRY_CAST({plain} AS BIGINT) END"
    if rule.type == "number":
        shape = literal(_NUMBER[rule.decimal])
        if rule.decimal == ".":
            plain = f"replace({text}, ',', '')"
        else:
            plain = f"replace(translate({text}, {literal(_SEPARATORS)}, ''), ',', '.')"
        found = f"CASE WHEN regexp_full_match({text}, {shape}) THEN TRY_CAST({plain} AS DOUBLE) END"
        # Most are written the usual way, which is quicker to try than the shape.
        usual = f"TRY_CAST({column} AS DOUBLE)"
        return f"coalesce({usual}, {found})" if rule.decimal == "." else found
    if rule.type == "boolean":
        true, false = (
            ", ".join(literal(word.strip().lower()) for word in words)
            for words in (rule.true or ["true"], rule.false or ["false"])
        )
        return (
            f"CASE WHEN lower({text}) IN ({true}) THEN true "
            f"WHEN lower({text}) IN ({false}) THEN false END"
        )
    if rule.type in ("date", "datetime"):
        sql = "DATE" if rule.type == "date" else "TIMESTAMP"
        if rule.format is None:
            return (
                f"CASE WHEN regexp_matches({text}, '^{_ISO}') "
                f"THEN CAST(TRY_CAST({text} AS TIMESTAMP) AS {sql}) END"
            )
        return f"CAST(try_strptime({text}, {literal(rule.format)}) AS {sql})"
    return column


def candidates(values: Mapping[str, int]) -> list[Written]:
    """The ways in which nearly all of the sampled ``values`` (with their counts) can be read.

    Likeliest first; none where they are plain text.
    """
    counts: dict[str, int] = {}
    for value, count in values.items():
        text = value.strip()
        counts[text] = counts.get(text, 0) + count
    total = sum(counts.values())
    if not total:
        return []

    def share(matches: Iterable[str]) -> float:
        return sum(counts[text] for text in matches) / total

    lower = {text.lower() for text in counts}
    for true, false in WORDS:
        if {true, false} <= lower:
            words = [text for text in counts if text.lower() in (true, false)]
            if share(words) >= _LIKELY:
                return [Written("boolean", true=[true], false=[false])]
    numbers = _numbers(counts, share)
    if numbers:
        return numbers
    return _dates(counts, share)


def _numbers(counts: Mapping[str, int], share: _Share) -> list[Written]:
    if any(_LEADING_ZERO.fullmatch(text) for text in counts):
        return []  # a code: 00123 is not 123
    whole = [text for text in counts if _PYTHON_WHOLE.fullmatch(text)]
    compact = [text for text in whole if _COMPACT.fullmatch(text)]
    if len(compact) >= 3 and share(compact) >= _LIKELY and len(compact) == len(whole):
        return [Written("date", "%Y%m%d"), Written("integer")]
    found = []
    point = [text for text in counts if _PYTHON_NUMBER["."].fullmatch(text)]
    comma = [text for text in counts if _PYTHON_NUMBER[","].fullmatch(text)]
    # 1,234 alone may be either; 1,5 or 12,34 anywhere in the column decides for the comma.
    only_comma = share(comma) > share(point)
    for decimal, matches in ((",", comma), (".", point)) if only_comma else ((".", point),):
        if share(matches) < _LIKELY:
            continue
        grouped = [t for t in matches if _PYTHON_GROUPED[decimal].fullmatch(t)]
        if share(whole) + share(grouped) >= _LIKELY:
            if all(len(text.lstrip("+-0")) <= 18 for text in whole):
                found.append(Written("integer", decimal=decimal))
            else:
                return []  # longer than any counter: an identifier, and no number holds it
        found.append(Written("number", decimal=decimal))
    return found


def _dates(counts: Mapping[str, int], share: _Share) -> list[Written]:
    iso = [text for text in counts if _ISO_MOMENT.fullmatch(text)]
    if share(iso) >= _LIKELY:
        days = share(text for text in iso if len(text) <= 10) >= _LIKELY
        return [Written("date"), Written("datetime")] if days else [Written("datetime")]
    ways: dict[tuple[str, str], list[str]] = {}
    for text in counts:
        for way in _ways(text):
            ways.setdefault(way, []).append(text)
    ranked = sorted(ways.items(), key=lambda item: -share(item[1]))
    return [
        Written("datetime" if clock else "date", f"{day}{clock}")
        for (day, clock), texts in ranked
        if share(texts) >= _LIKELY
    ]


def _ways(text: str) -> list[tuple[str, str]]:
    """Formats of the day and of the time (with what is between) in the shape of ``text``."""
    for shape, days in _SHAPES:
        match = shape.match(text)
        if match is None:
            continue
        rest = text[match.end() :]
        clock = ""
        if rest:
            between = re.match(r"T| +|, ", rest)
            if between is None:
                continue
            fits = [way for time, way in _CLOCK if time.fullmatch(rest[between.end() :])]
            if not fits:
                continue
            clock = between.group() + fits[0]
        return [(day or "%Y-%m-%d", clock) for day in days]
    return []
