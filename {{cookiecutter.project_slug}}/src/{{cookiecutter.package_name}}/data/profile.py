"""What a table holds, column by column: types, how they are written, ranges, frequent values.

Everything is computed by SQL over a view, in a few scans and bounded memory; rows never come here,
but for a sample of a few thousand that proposes how text is to be read. What is proposed is then
tried on every row.
"""

from __future__ import annotations

import datetime
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from .contracts.contract import ColumnRule, Contract, Type
from .contracts.sql import quoted
from .written import Written, candidates, reading

if TYPE_CHECKING:
    import duckdb

READABLE = 0.99  # share of the texts that must be readable under a type
FEW = 50  # values up to which a column of text is one of categories
MOST_LISTED = 200  # values up to which they are all counted
LARGEST = 3e38  # what single precision holds, and the boosting library computes with
EXACT_ROWS = 1_000_000  # rows up to which distinct values are counted exactly
READ_AS = {
    "integer": "whole numbers",
    "number": "numbers",
    "boolean": "true or false",
    "date": "dates",
    "datetime": "dates with a time",
    "text": "text",
}
_SAMPLE = 5_000
_BATCH = 60  # columns in one scan
_HASHED = 6  # columns whose distinct values are counted at once
_LISTED_ROWS = 50_000
_STAGED_CELLS = 3_000_000  # up to which a table is copied into memory first
_STAGED = "#staged"
_TYPES: dict[str, Type] = {
    "BOOLEAN": "boolean",
    "DATE": "date",
    **dict.fromkeys(("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"), "integer"),
    **dict.fromkeys(("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"), "integer"),
    **dict.fromkeys(("FLOAT", "DOUBLE", "DECIMAL"), "number"),
}


@dataclass(frozen=True)
class ColumnProfile:
    """One column. ``minimum`` and ``maximum`` are finite numbers, or dates as ISO text."""

    name: str
    type: Type
    why: str  # why it has that type
    rows: int
    missing: int
    distinct: int  # of the values that are not missing; ``exact`` says how well it is known
    exact: bool = True
    minimum: float | str | None = None
    maximum: float | str | None = None
    frequent: list[tuple[str, int]] = field(default_factory=list)  # all of them up to MOST_LISTED
    unread: int = 0  # texts that the type does not read: they count as missing
    unread_examples: list[str] = field(default_factory=list)
    endless: int = 0  # infinite numbers, or larger than training computes with
    rising: bool = False  # each value above the one before it, in the order of the rows
    format: str | None = None
    decimal: str = "."
    true: list[str] = field(default_factory=list)
    false: list[str] = field(default_factory=list)

    @property
    def filled(self) -> int:
        return self.rows - self.missing

    @property
    def whole(self) -> bool:
        """Whether all values are whole numbers; known for those of few values only."""
        if self.type == "integer":
            return True
        return self.type == "number" and bool(self.frequent) and _all_whole(self.frequent)

    @property
    def names_rows(self) -> bool:
        """Whether every row has a value of its own, and there are more than a handful."""
        return self.exact and self.distinct == self.filled == self.rows > 20


@dataclass(frozen=True)
class Profile:
    """A table: its columns in their order, and which of them say the same."""

    rows: int
    columns: list[ColumnProfile]
    duplicates: dict[str, str] = field(
        default_factory=dict
    )  # a column -> the earlier one it repeats

    def __getitem__(self, name: str) -> ColumnProfile:
        return next(column for column in self.columns if column.name == name)

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Profile:
        columns = [
            ColumnProfile(**{**each, "frequent": [(v, n) for v, n in each["frequent"]]})
            for each in saved["columns"]
        ]
        return cls(saved["rows"], columns, saved["duplicates"])


def profile(con: duckdb.DuckDBPyConnection, view: str, text: bool, examine: bool = True) -> Profile:
    """Profile ``view``; ``text`` says that all its columns are text, such as those of a CSV file.

    Columns of text are examined for numbers, dates and words for true and false, those of a typed
    table too; with ``examine`` false a column is of the type it has.
    """
    types = {row[0]: row[1] for row in con.execute(f"DESCRIBE {quoted(view)}").fetchall()}
    rows = _one(con, f"SELECT count(*) FROM {quoted(view)}")[0]
    if rows * len(types) > _STAGED_CELLS:
        return _of_view(con, view, types, rows, text or examine)
    con.execute(f"CREATE OR REPLACE TEMP TABLE {quoted(_STAGED)} AS SELECT * FROM {quoted(view)}")
    try:  # reading a wide file many times would take longer than all the rest
        return _of_view(con, _STAGED, types, rows, text or examine)
    finally:
        con.execute(f"DROP TABLE {quoted(_STAGED)}")


def _of_view(
    con: duckdb.DuckDBPyConnection, view: str, types: dict[str, str], rows: int, examine: bool
) -> Profile:
    texts = [name for name, kind in types.items() if kind == "VARCHAR"]
    proposed: dict[str, list[Written]] = {name: [] for name in types}
    if rows and examine:
        proposed.update(_propose(con, view, texts, rows))
    for name, kind in types.items():
        if name not in texts:
            proposed[name] = [_stored(kind)]
    found: dict[str, ColumnProfile] = {}
    for batch in _batches(list(types), _BATCH):
        found.update(_measure(con, view, {name: proposed[name] for name in batch}, types, rows))
    columns = _list_values(con, view, [found[name] for name in types])
    columns = _count_exactly(con, view, columns)
    return Profile(rows, [_finish(con, view, column, types[column.name]) for column in columns])


def infer_contract(profile: Profile, table: str) -> Contract:
    """What held of the rows seen, loosened so that more rows of the same kind hold it too.

    Numbers may leave the range seen by its width, but not change sign; dates by its width, and
    at least five years. A value may be missing where one was. A text column of few values keeps
    to them, a column that names rows stays unique, and at least half as many rows are wanted.
    """
    return Contract(
        table=table,
        columns={column.name: _rule(column) for column in profile.columns},
        fewest_rows=max(1, profile.rows // 2),
    )


def _rule(column: ColumnProfile) -> ColumnRule:
    unique = column.names_rows and (
        column.type == "text" or (column.type == "integer" and column.rising)
    )
    minimum, maximum = (None, None) if unique or column.endless else _widened(column)
    values = None
    few = column.type == "text" and 0 < len(column.frequent) <= FEW
    if few and column.distinct == len(column.frequent) and column.distinct * 2 <= column.filled:
        values = sorted(value for value, _ in column.frequent)
    return ColumnRule(
        type=column.type,
        nullable=column.missing > 0,
        minimum=minimum,
        maximum=maximum,
        values=values,
        unique=unique,
        # A text that is no number counts as missing, as it did when this was inferred.
        policy="warn" if column.unread else None,
        format=column.format,
        decimal=column.decimal,
        true=list(column.true),
        false=list(column.false),
    )


def _widened(column: ColumnProfile) -> tuple[float | str | None, float | str | None]:
    low, high = column.minimum, column.maximum
    if low is None or high is None:
        return None, None
    if isinstance(low, str) or isinstance(high, str):
        first = datetime.datetime.fromisoformat(str(low))
        last = datetime.datetime.fromisoformat(str(high))
        width = max(last - first, datetime.timedelta(days=5 * 365))
        return _moved(first, -width), _moved(last, width)
    span = high - low or abs(high) or 1
    if column.type == "integer":
        low, high, span = int(low), int(high), int(span)
    return (
        0 if low >= 0 else _rounded(low - span, math.floor),
        0 if high <= 0 < -low else _rounded(high + span, math.ceil),
    )


def _moved(moment: datetime.datetime, by: datetime.timedelta) -> str | None:
    try:
        return (moment + by).date().isoformat()
    except OverflowError:
        return None


def _rounded(value: float, towards: Any) -> float:
    """``value`` with three digits, away from the values seen."""
    if not math.isfinite(value) or value == 0:
        return value
    power = math.floor(math.log10(abs(value))) - 2
    if isinstance(value, int):
        step = 10 ** max(power, 0)
        return int(towards(value / step)) * step
    return float(f"{towards(value / 10.0**power) * 10.0**power:.3g}")


def _stored(kind: str) -> Written:
    """The type of a column that is not text, by the name DuckDB has for it."""
    if kind.startswith("TIMESTAMP"):
        return Written("datetime")
    return Written(_TYPES.get(kind.split("(")[0], "text"))


def _propose(
    con: duckdb.DuckDBPyConnection, view: str, names: list[str], rows: int
) -> dict[str, list[Written]]:
    """How each column of text might be read, by a sample of rows that depends on their content."""
    wanted = _SAMPLE if len(names) <= 100 else _SAMPLE // 2
    proposed: dict[str, list[Written]] = {}
    if not names:
        return proposed
    every = ", ".join(quoted(name) for name in names)
    source = f"FROM {quoted(view)}"
    if rows > 2 * wanted:
        source += f" WHERE hash({every}) % {rows // wanted} = 0"
    sample = con.execute(f"SELECT {every} {source}").fetchnumpy()
    if len(sample[names[0]]) < 100:  # few different rows: any of them will do
        sample = con.execute(f"SELECT {every} FROM {quoted(view)} LIMIT {wanted}").fetchnumpy()
    for name in names:
        values = sample[name]
        known = values.compressed() if hasattr(values, "compressed") else values
        proposed[name] = candidates(Counter(str(value) for value in known if value is not None))
    # A column that is empty in the sample may hold a few values elsewhere.
    if rows > 2 * wanted:
        for name in names:
            if not proposed[name]:
                found = con.execute(
                    f"SELECT {quoted(name)} FROM {quoted(view)} WHERE {quoted(name)} IS NOT NULL "
                    f"LIMIT {wanted}"
                ).fetchall()
                proposed[name] = candidates(Counter(row[0] for row in found))
    return proposed


def _measure(
    con: duckdb.DuckDBPyConnection,
    view: str,
    proposed: dict[str, list[Written]],
    types: dict[str, str],
    rows: int,
) -> dict[str, ColumnProfile]:
    """Try every proposed reading on every row, and keep the best of each column."""
    parts: list[str] = []
    read: list[str] = []
    for name, ways in proposed.items():
        column = quoted(name)
        parts += [f"count({column})", f"approx_count_distinct({column})"]
        is_text = types[name] == "VARCHAR"
        # A code of a leading zero that the sample had missed.
        zeros = (
            f"count(*) FILTER (WHERE starts_with({column}, '0') "
            f"AND regexp_matches({column}, '^0\\d+\\s*$'))"
        )
        parts.append(zeros if is_text and (not ways or _counts(ways)) else "0")
        for way in ways:
            value = quoted(f"#read {len(read)}")  # read once, used several times
            read.append(f"{reading(column, way) if is_text else column} AS {value}")
            parts += _facts(value, way.type)
    columns = ", ".join([*map(quoted, proposed), *read])
    row = _one(con, f"SELECT {', '.join(parts)} FROM (SELECT {columns} FROM {quoted(view)})")
    values = iter(row)
    found = {}
    for name, ways in proposed.items():
        filled, distinct, zeros = (next(values) for _ in range(3))
        facts = [(way, [next(values) for _ in range(5)]) for way in ways]
        blank = ColumnProfile(name, "text", "text", rows, rows - filled, distinct, rows == 0)
        if types[name] != "VARCHAR":
            way, (_, low, high, endless, _timed) = facts[0]
            # Larger than any counter of ours, so it is kept as text: an identifier.
            if way.type == "integer" and high is not None and not _is_counter(low, high):
                found[name] = replace(blank, why="whole numbers too long for a counter")
            else:
                found[name] = _as_typed(blank, way, low, high, endless)
        elif zeros and (ways or zeros > 0.02 * filled):
            found[name] = replace(blank, why="codes: digits with leading zeros")
        else:
            found[name] = _chosen(con, view, blank, facts)
    return found


def _counts(ways: list[Written]) -> bool:
    return any(way.type in ("integer", "number") for way in ways)


def _is_counter(low: Any, high: Any) -> bool:
    return low >= -(2**63) and high < 2**63


def _facts(value: str, kind: Type) -> list[str]:
    """SQL for: values read, least, most, infinite ones, and moments that are not midnight."""
    if kind == "number":
        number = f"CAST({value} AS DOUBLE)"
        known = f"NOT isnan({number})"
        finite = f"FILTER (WHERE {known} AND abs({number}) <= {LARGEST})"
        endless = f"count(*) FILTER (WHERE {known} AND abs({number}) > {LARGEST})"
        return [
            f"count({value})",
            f"min({number}) {finite}",
            f"max({number}) {finite}",
            endless,
            "0",
        ]
    if kind in ("date", "datetime"):
        value = value if kind == "date" else f"CAST({value} AS TIMESTAMP)"  # without a time zone
        finite = f"FILTER (WHERE isfinite({value}))"
        clock = (
            f"count(*) FILTER (WHERE isfinite({value}) AND CAST({value} AS TIME) <> TIME '00:00')"
        )
        least, most = (f"CAST({f}({value}) {finite} AS VARCHAR)" for f in ("min", "max"))
        return [f"count({value})", least, most, "0", clock if kind == "datetime" else "0"]
    if kind == "integer":
        return [f"count({value})", f"min({value})", f"max({value})", "0", "0"]
    return [f"count({value})", "NULL", "NULL", "0", "0"]


def _as_typed(
    blank: ColumnProfile, way: Written, low: Any, high: Any, endless: int
) -> ColumnProfile:
    return replace(
        blank,
        type=way.type,
        why=READ_AS[way.type],
        minimum=low,
        maximum=high,
        endless=endless,
        format=way.format,
        decimal=way.decimal,
        true=list(way.true),
        false=list(way.false),
    )


def _chosen(
    con: duckdb.DuckDBPyConnection,
    view: str,
    blank: ColumnProfile,
    facts: list[tuple[Written, list[Any]]],
) -> ColumnProfile:
    """The column as the first of the proposed readings that reads the most, if nearly all."""
    filled = blank.filled
    readable = [(way, fact) for way, fact in facts if fact[0] and fact[0] >= _enough(way, filled)]
    if not readable:
        if facts:
            way, fact = max(facts, key=lambda each: each[1][0])
            share = fact[0] / filled if filled else 0.0
            if share >= 0.5:
                why = f"text: only {share:.1%} are {READ_AS[way.type]}"
                return replace(blank, why=why, unread_examples=[])
        return blank
    most = max(fact[0] for _, fact in readable)
    best = [(way, fact) for way, fact in readable if fact[0] == most]
    way, fact = best[0]
    if way.type == "date" and way.format is None and fact[0] == most:
        timed = [(w, f) for w, f in best if w.type == "datetime" and f[4]]
        way, fact = timed[0] if timed else (way, fact)
    column = _as_typed(blank, way, *fact[1:4])
    why = _how(column)
    twin = _twin(way)
    if twin is not None:
        why = _day_or_month(con, view, column, way, readable)
        if why.startswith("!"):
            way = next(w for w, _ in readable if w.format == twin)
            fact = next(f for w, f in readable if w is way)
            column, why = _as_typed(blank, way, *fact[1:4]), why[1:]
    if unread := filled - fact[0]:
        shown = _unread(con, view, column.name, way)
        said = ", ".join(repr(each) for each in shown)
        why += f"; {unread:,} of {filled:,} cannot be read so and count as missing, such as {said}"
        column = replace(
            column, unread=unread, unread_examples=shown, missing=column.missing + unread
        )
    return replace(column, why=why)


def _enough(way: Written, filled: int) -> float:
    """Texts that must be readable. A third word beside yes and no is a class of its own."""
    return filled if way.type == "boolean" else READABLE * filled


def _how(column: ColumnProfile) -> str:
    what = READ_AS[column.type]
    if column.type == "number" and column.decimal == ",":
        return f"{what} with a decimal comma"
    if column.type == "boolean":
        return f"words for true and false: {column.true[0]}, {column.false[0]}"
    return f"{what} written {column.format}" if column.format else what


def _twin(way: Written) -> str | None:
    """The format with day and month exchanged, where the shape of the text fits both."""
    for one, other in (("%d/%m", "%m/%d"), ("%d-%m", "%m-%d")):
        for first, second in ((one, other), (other, one)):
            if way.format and way.format.startswith(first):
                return way.format.replace(first, second)
    return None


def _day_or_month(
    con: duckdb.DuckDBPyConnection,
    view: str,
    column: ColumnProfile,
    way: Written,
    readable: list[tuple[Written, list[Any]]],
) -> str:
    """Why the day comes first or the month does; begins with ! where the other reading is taken."""
    here = reading(quoted(column.name), way)
    twin = _twin(way)
    other = next((w for w, _ in readable if w.format == twin), None)
    both = {w.format: f[0] for w, f in readable}
    over = _one(
        con,
        f"SELECT count(*) FILTER (WHERE day({here}) > 12) FROM {quoted(view)}",
    )[0]
    if over or other is None or both[twin] < both[way.format]:
        return f"dates written {way.format}: {over:,} values have a day over 12"
    there = reading(quoted(column.name), other)
    names = [row[0] for row in con.execute(f"DESCRIBE {quoted(view)}").fetchall()]
    for name in names:  # a date beside it whose writing leaves no doubt
        if name == column.name:
            continue
        beside = f"TRY_CAST(CAST({quoted(name)} AS VARCHAR) AS DATE)"
        count, filled, first, second = _one(
            con,
            f"SELECT count({beside}), count({quoted(name)}), "
            f"median(abs(date_diff('day', {beside}, CAST({here} AS DATE)))), "
            f"median(abs(date_diff('day', {beside}, CAST({there} AS DATE)))) FROM {quoted(view)}",
        )
        if count < READABLE * max(filled, 1) or not count or first is None:
            continue
        if first * 2 < second:
            return f"dates written {way.format}: no day is over 12, and so they are near {name}"
        if second * 2 < first:
            return f"!dates written {twin}: no day is over 12, and so they are near {name}"
    return (
        f"dates written {way.format}: no value is over 12, so {twin} would do as well; "
        "say which in the contract"
    )


def _unread(con: duckdb.DuckDBPyConnection, view: str, name: str, way: Written) -> list[str]:
    column = quoted(name)
    found = con.execute(
        f"SELECT DISTINCT {column} FROM {quoted(view)} WHERE {column} IS NOT NULL "
        f"AND ({reading(column, way)}) IS NULL ORDER BY 1 LIMIT 3"
    ).fetchall()
    return [str(row[0])[:40] for row in found]


def _list_values(
    con: duckdb.DuckDBPyConnection, view: str, columns: list[ColumnProfile]
) -> list[ColumnProfile]:
    """Count the values of each column that has few; the same scan counts several columns."""
    few = [column for column in columns if 0 < column.distinct <= MOST_LISTED * 1.2]
    counted: dict[str, list[tuple[str, int]]] = {}
    for batch in _batches([column.name for column in few], _BATCH):
        counts = ", ".join(f"histogram(CAST({quoted(name)} AS VARCHAR))" for name in batch)
        found = _one(con, f"SELECT {counts} FROM {quoted(view)}")
        counted.update(
            {n: list((each or {}).items()) for n, each in zip(batch, found, strict=True)}
        )
    result = []
    for column in columns:
        if column.name in counted:
            values = sorted(counted[column.name], key=lambda each: (-each[1], each[0]))
            listed = values if len(values) <= MOST_LISTED else values[:10]
            column = replace(column, frequent=listed, distinct=len(values), exact=True)
            if column.type == "boolean" and column.true:
                column = _spelt(column)
        result.append(column)
    return result


def _spelt(column: ColumnProfile) -> ColumnProfile:
    """The words for true and false as they are written in the table, the commonest first."""
    true, false = column.true[0], column.false[0]
    words = [value.strip() for value, _ in column.frequent]
    return replace(
        column,
        true=list(dict.fromkeys(word for word in words if word.lower() == true)) or [true],
        false=list(dict.fromkeys(word for word in words if word.lower() == false)) or [false],
    )


def _count_exactly(
    con: duckdb.DuckDBPyConnection, view: str, columns: list[ColumnProfile]
) -> list[ColumnProfile]:
    """Distinct values of the columns that have many: of each in a small table; in a large one of
    those that may name rows. Hashes of 64 bits stand for the values.
    """
    rows = columns[0].rows if columns else 0
    many = [column for column in columns if not column.exact]
    if rows > EXACT_ROWS:
        many = [
            column
            for column in many
            if column.type in ("text", "integer") and column.distinct > 0.8 * column.rows
        ]
    exact: dict[str, int] = {}
    # A list needs less than a table of hashes has at the start, but grows with the rows.
    few = rows <= _LISTED_ROWS
    for batch in _batches([c.name for c in many], _BATCH if few else _HASHED):
        hashes = (f"CASE WHEN {c} IS NOT NULL THEN hash({c}) END" for c in map(quoted, batch))
        counts = (f"list_unique(list({h}))" if few else f"count(DISTINCT {h})" for h in hashes)
        found = _one(con, f"SELECT {', '.join(counts)} FROM {quoted(view)}")
        exact.update((name, each or 0) for name, each in zip(batch, found, strict=True))
    return [
        replace(column, distinct=exact[column.name], exact=True) if column.name in exact else column
        for column in columns
    ]


def _finish(
    con: duckdb.DuckDBPyConnection, view: str, column: ColumnProfile, kind: str
) -> ColumnProfile:
    """Whether whole numbers that name rows rise; dates without a time are plain dates."""
    if column.unread and column.frequent:
        column = replace(column, distinct=max(1, column.distinct - len(column.unread_examples)))
    if column.type != "integer" or not column.names_rows:
        return column
    value = quoted(column.name)
    if kind == "VARCHAR":
        value = reading(value, Written("integer", decimal=column.decimal))
    rising = _one(
        con,
        f"SELECT bool_and(v > before) FROM (SELECT v, lag(v) OVER () AS before FROM "
        f"(SELECT {value} AS v FROM {quoted(view)})) WHERE before IS NOT NULL",
    )[0]
    return replace(column, rising=bool(rising))


def _all_whole(frequent: Sequence[tuple[str, int]]) -> bool:
    try:
        return all(float(value) % 1 == 0 for value, _ in frequent)
    except ValueError:
        return False


def _one(con: duckdb.DuckDBPyConnection, sql: str) -> tuple[Any, ...]:
    row = con.execute(sql).fetchone()
    assert row is not None
    return tuple(row)


def _batches(names: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(names), size):
        yield names[start : start + size]
