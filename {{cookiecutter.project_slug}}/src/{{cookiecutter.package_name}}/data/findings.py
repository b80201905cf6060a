"""What is odd about the columns and rows of a table, each with evidence and what to do about it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from ..config import TableConfig
from .contracts.sql import quoted
from .leaks import find_leaks
from .profile import ColumnProfile, Profile
from .roles import LEARNABLE, Role
from .table import Table

if TYPE_CHECKING:
    import duckdb

Kind = Literal[
    "leak",
    "after",
    "identifier",
    "duplicate",
    "constant",
    "empty",
    "text",
    "rows",
    "group",
    "rare",
    "time",
]
FEWEST_OF_A_CLASS = 30  # rows: with fewer, no part of a split can judge the class
_LATER = 0.8  # share of rows in which a date is later, to be one written down afterwards
_EARLIER = 0.01
_PURE = 0.995  # share of one class among the rows in which a column is filled (or is not)
_BY_CHANCE = math.log(1e-9)
_EXPLAINS = 0.9  # share of the variance of a target that what is missing may explain
_FEWEST_GROUPS = 20
_GROUP_ROWS = 20_000
_MOST_GROUPS = 8  # columns looked at as groups
_CONSTANT = 0.9  # share of the rows whose group has one value of a column, or of its variance
_LIKE = 0.5  # share of the columns that are so within a group
_OF_ROLE: dict[Role, Kind] = {
    "id": "identifier",
    "duplicate": "duplicate",
    "constant": "constant",
    "empty": "empty",
    "text": "text",
}


@dataclass(frozen=True)
class Finding:
    """``exclude`` says that a model must not see the columns: what they hold is known too late."""

    kind: Kind
    columns: tuple[str, ...]
    evidence: str
    action: str
    exclude: bool = False


def findings(
    con: duckdb.DuckDBPyConnection, view: str, profile: Profile, table: Table, config: TableConfig
) -> list[Finding]:
    """Everything odd about ``view``, whose profile is ``profile``, the gravest first.

    ``table`` holds its rows, or a sample of them where they are many.
    """
    found = [
        Finding("leak", (leak.column,), leak.evidence, "excluded: it gives the target away", True)
        for leak in find_leaks(table, config.target)
    ]
    found += _after(con, view, profile, table, config)
    found += _filled_by_the_target(table, config)
    found = [each for each in found if not set(each.columns) & set(config.keep)]
    found = _once(found)
    found += [
        Finding(_OF_ROLE[column.role], (column.name,), column.why, "set aside")
        for column in table.columns
        if column.role in _OF_ROLE and column.name not in (*config.id, config.group)
    ]
    excluded = {name for each in found for name in each.columns}
    found += _rare(profile[config.target], table)
    found += _rows(con, view, profile)
    if config.group is None:
        found += _groups(con, view, profile, table, config, excluded)
    if config.time is None:
        found += _times(profile, table, excluded)
    return found


def _once(found: list[Finding]) -> list[Finding]:
    """The first finding about each column: a leak need not come after the fact as well."""
    seen: set[str] = set()
    kept = []
    for each in found:
        if not seen & set(each.columns):
            kept.append(each)
            seen |= set(each.columns)
    return kept


def _after(
    con: duckdb.DuckDBPyConnection, view: str, profile: Profile, table: Table, config: TableConfig
) -> Iterator[Finding]:
    """Dates that are later than the time of their row: nobody knew them then."""
    if config.time is None or profile[config.time].type not in ("date", "datetime"):
        return
    moment = quoted(config.time)
    for name in table.named("date"):
        if name == config.time:
            continue
        value = quoted(name)
        if profile[config.time].type == "date":  # a time of that day is not later
            value = f"CAST({value} AS DATE)"
        row = con.execute(
            f"SELECT count(*) FILTER (WHERE {value} > {moment}), "
            f"count(*) FILTER (WHERE {value} < {moment}), "
            f"count(*) FILTER (WHERE {value} IS NOT NULL AND {moment} IS NOT NULL) "
            f"FROM {quoted(view)}"
        ).fetchone()
        assert row is not None
        later, earlier, both = row
        if both >= 20 and later >= _LATER * both and earlier <= _EARLIER * both:
            evidence = (
                f"later than {config.time} in {later:,} of {both:,} rows, earlier in {earlier:,}"
            )
            yield Finding("after", (name,), evidence, "excluded: it comes after the fact", True)


def _filled_by_the_target(table: Table, config: TableConfig) -> Iterator[Finding]:
    """Columns that are filled, or are missing, only when the target has a certain value."""
    target = table.frame[config.target]
    events = _events(target, table)
    for name in table.named(*LEARNABLE):
        missing = table.frame[name].isna().to_numpy()
        if missing.sum() < 5 or (~missing).sum() < 5:
            continue
        evidence = _one_sided(missing, events, config.target)
        if evidence is None and table.task == "regression":
            evidence = _explained(missing, target.to_numpy(dtype=np.float64), config.target)
        if evidence:
            yield Finding("after", (name,), evidence, "excluded: it comes after the fact", True)


def _events(target: pd.Series, table: Table) -> dict[str, Any]:
    """Value of the target -> the rows that have it; of a regression its commonest value alone."""
    if table.task != "regression":
        return {str(value): (target == value).to_numpy() for value in target.unique()}
    commonest = target.mode().iloc[0]
    rows = (target == commonest).to_numpy()
    return {f"{commonest:g}": rows} if rows.mean() >= 0.05 else {}


def _one_sided(missing: Any, events: dict[str, Any], target: str) -> str | None:
    for value, rows in events.items():
        base = float(rows.mean())
        if not 0 < base <= 0.9:
            continue
        for word, part in (("filled", ~missing), ("missing", missing)):
            count, hits = int(part.sum()), int((rows & part).sum())
            if hits < _PURE * count or count * math.log(base) > _BY_CHANCE:
                continue
            # Filled in with the outcome; but a gap may mean something that is known before.
            if word == "missing" and hits < 0.5 * rows.sum():
                continue
            return (
                f"{word} in {count:,} of {len(rows):,} rows, "
                f"of which {hits:,} have {target} = {value} ({base:.0%} of all rows have)"
            )
    return None


def _explained(missing: Any, target: Any, name: str) -> str | None:
    total = float(np.var(target))
    if not total:
        return None
    parts = [target[missing], target[~missing]]
    within = sum(float(np.var(part)) * len(part) for part in parts) / len(target)
    share = 1 - within / total
    if share < _EXPLAINS:
        return None
    return f"whether it is filled explains {share:.0%} of the variance of {name}"


def _rare(target: ColumnProfile, table: Table) -> Iterator[Finding]:
    if table.task == "regression":
        return
    rare = [(value, count) for value, count in target.frequent if count < FEWEST_OF_A_CLASS]
    if rare:
        shown = ", ".join(f"{value}: {count}" for value, count in rare[:10])
        more = f" and {len(rare) - 10} more" if len(rare) > 10 else ""
        yield Finding(
            "rare",
            (target.name,),
            f"classes of fewer than {FEWEST_OF_A_CLASS} rows: {shown}{more}",
            "kept; their figures say little: collect more, or group them",
        )


def _rows(con: duckdb.DuckDBPyConnection, view: str, profile: Profile) -> Iterator[Finding]:
    if profile.rows < 2:
        return
    every = ", ".join(quoted(name) for name in profile.names)
    row = con.execute(f"SELECT count(DISTINCT hash({every})) FROM {quoted(view)}").fetchone()
    assert row is not None
    if repeated := profile.rows - int(row[0]):
        yield Finding(
            "rows",
            (),
            f"{repeated:,} of {profile.rows:,} rows repeat an earlier one in every column",
            "kept, on one side of the split",
        )


def _groups(
    con: duckdb.DuckDBPyConnection,
    view: str,
    profile: Profile,
    table: Table,
    config: TableConfig,
    excluded: set[str],
) -> Iterator[Finding]:
    """Columns whose values repeat, in rows that are otherwise alike: several rows of one thing."""
    able = [
        column
        for column in profile.columns
        if column.type in ("text", "integer")
        and column.name not in (config.target, config.time, *config.id, *config.exclude)
        and (column.name not in excluded or column.name in table.named("text"))
        and column.distinct >= _FEWEST_GROUPS
        and column.distinct * 2 <= column.filled
    ]
    able.sort(key=lambda column: (column.type != "text", -column.distinct))
    proposed: list[str] = []
    for column in able[:_MOST_GROUPS]:
        evidence = _alike_within(con, view, profile, table, config.target, column)
        if evidence:
            proposed.append(column.name)
            yield Finding(
                "group",
                (column.name,),
                f"{column.distinct:,} values in {column.filled:,} rows; {evidence}",
                f"not used so unless you say it: --group {column.name}",
            )


def _alike_within(
    con: duckdb.DuckDBPyConnection,
    view: str,
    profile: Profile,
    table: Table,
    target: str,
    group: ColumnProfile,
) -> str | None:
    """What rows of one value of ``group`` have in common, if it is most of what they hold."""
    others = [
        profile[name]
        for name in [target, *table.named(*LEARNABLE)][:60]
        if name != group.name and not _nearly_constant(profile[name])
    ]
    key = quoted(group.name)
    inner, outer = [f"{key} AS g", "count(*) AS n"], ["sum(n) FILTER (WHERE n > 1)"]
    for place, column in enumerate(others):
        value = quoted(column.name)
        if column.type == "number":
            number = f"CASE WHEN isfinite({value}) THEN CAST({value} AS DOUBLE) END"
            inner.append(f"count({number}) AS c{place}")
            inner.append(f"avg({number}) AS m{place}, var_pop({number}) AS v{place}")
            outer.append(
                f"[sum(c{place}), count(*) FILTER (WHERE c{place} > 0), sum(c{place} * v{place}), "
                f"sum(c{place} * m{place} * m{place}), sum(c{place} * m{place})]"
            )
        else:
            inner.append(f"min({value}) IS NOT DISTINCT FROM max({value}) AS k{place}")
            outer.append(f"sum(n) FILTER (WHERE n > 1 AND k{place})")
    share = max(1, profile.rows // _GROUP_ROWS)
    some = f"AND hash({key}) % {share} = 0" if group.distinct > 100 * share else ""
    row = con.execute(
        f"SELECT {', '.join(outer)} FROM (SELECT {', '.join(inner)} FROM {quoted(view)} "
        f"WHERE {key} IS NOT NULL {some} GROUP BY 1)"
    ).fetchone()
    if row is None or not row[0]:
        return None
    like = [
        column.name
        for column, found in zip(others, row[1:], strict=True)
        if (_within(found) if isinstance(found, list) else (found or 0) / row[0]) >= _CONSTANT
    ]
    columns = [name for name in like if name != target]
    features = len([column for column in others if column.name != target])
    if len(columns) >= 3 and len(columns) >= _LIKE * features:
        shown = ", ".join(columns[:4]) + (", …" if len(columns) > 4 else "")
        also = f", and {target}" if target in like else ""
        return (
            f"rows of one value are alike in {len(columns)} of {features} columns ({shown}){also}"
        )
    if target in like:
        return f"rows of one value have the same {target}"
    return None


def _within(facts: list[float | None]) -> float:
    """Share of the variance that lies between groups, less what as many random groups explain."""
    count, groups, within, squares, total = (float(each or 0) for each in facts)
    if count <= groups or not count:
        return 0.0
    overall = within + squares - total * total / count
    return 1 - (within / (count - groups)) / (overall / (count - 1)) if overall > 0 else 0.0


def _nearly_constant(column: ColumnProfile) -> bool:
    """Whether rows agree on it anyway."""
    return column.distinct < 2 or (
        bool(column.frequent) and column.frequent[0][1] > 0.8 * max(column.filled, 1)
    )


def _times(profile: Profile, table: Table, excluded: set[str]) -> Iterator[Finding]:
    """A date that could say which rows come last."""
    dates = [
        profile[name]
        for name in table.named("date")
        if name not in excluded and profile[name].missing == 0 and profile[name].distinct >= 10
    ]
    if dates:
        first = min(dates, key=lambda column: str(column.minimum))
        yield Finding(
            "time",
            (first.name,),
            f"dates from {str(first.minimum)[:10]} to {str(first.maximum)[:10]}",
            f"rows are split at random unless you say --time {first.name}",
        )
