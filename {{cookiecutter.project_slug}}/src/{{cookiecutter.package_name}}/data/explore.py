"""A first look at raw rows, the same for the shop and for a table."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pandas as pd
from pandas.api import types

from ..config import Config, ShopConfig
from .examples import Task
from .leaks import refuse_leaks
from .strength import bins, explained


@dataclass(frozen=True)
class Overview:
    """Raw rows, and the target as one number a row.

    ``outcome`` is the target itself for a regression, and 1 where a row is of class ``positive``
    otherwise: the second class of two, the most frequent of many.
    """

    frame: pd.DataFrame  # without the target
    target: str
    task: Task
    outcome: pd.Series
    measure: str  # what the mean of the outcome is called
    days: pd.Series | None  # the day of each row, where rows have a time
    notes: list[str]


def look(config: Config, most_rows: int = 200_000) -> Overview:
    """Open the data of ``config``; a large one is sampled by whole shards or evenly by row.

    Raises:
        UserError: the data cannot be used as the configuration says.
    """
    if isinstance(config.data, ShopConfig):
        return _look_at_shop(config.data, most_rows)
    from .table import read_table

    table = read_table(config.data)
    refuse_leaks(table, config.data.target, config.data.keep)
    frame = table.frame.iloc[:: -(-len(table.frame) // most_rows)]
    target = frame[config.data.target]
    dates = [config.data.time, *table.named("date")]
    time = next((d for d in dates if d and types.is_datetime64_any_dtype(frame[d])), None)
    outcome, measure = _outcome(target, table.task)
    return Overview(
        frame[table.named("numeric", "boolean", "category", "date")],
        config.data.target,
        table.task,
        outcome,
        measure,
        frame[time].dt.floor("D") if time else None,
        table.notes,
    )


def describe(overview: Overview) -> pd.DataFrame:
    """A row a column: type, share missing, distinct values, and its range or commonest value."""
    rows = []
    for name, column in overview.frame.items():
        known = column.dropna()
        if types.is_numeric_dtype(column) and not types.is_bool_dtype(column):
            kind, shown = "number", f"{known.min():,.6g} to {known.max():,.6g}"
        elif types.is_datetime64_any_dtype(column):
            kind, shown = "date", f"{known.min():%Y-%m-%d} to {known.max():%Y-%m-%d}"
        else:
            kind, shown = "category", f"most often {known.mode().iloc[0]}"
        rows.append(
            {
                "column": name,
                "type": kind,
                "missing": f"{column.isna().mean():.1%}",
                "distinct": int(column.nunique()),
                "values": shown,
            }
        )
    return pd.DataFrame(rows).set_index("column").rename_axis(index=None)


def strength(overview: Overview) -> dict[str, float]:
    """Share of the outcome's variance that each column explains by itself."""
    return {
        str(name): explained(column, overview.outcome) for name, column in overview.frame.items()
    }


def average_by(overview: Overview, column: str, most: int = 12) -> pd.Series:
    """The mean outcome by value of ``column`` (its most frequent ones) or by bin, in order."""
    values = bins(overview.frame[column])
    top = values.value_counts().head(most).index
    means = overview.outcome[values.isin(top)].groupby(values, observed=True).mean()
    words = types.is_string_dtype(values) or isinstance(values.dtype, pd.CategoricalDtype)
    if words or types.is_bool_dtype(values):
        return means.sort_values(ascending=False)
    return means


def daily(overview: Overview) -> pd.Series | None:
    """The mean outcome by day, where rows have a time and there are a few days."""
    if overview.days is None or overview.days.nunique() < 3:
        return None
    return overview.outcome.groupby(overview.days).mean()


def _look_at_shop(config: ShopConfig, most_rows: int) -> Overview:
    from . import shop as simulated

    # Users do not know of each other, so the first of many are the same as of a few.
    shop = simulated.simulate(replace(config, users=min(config.users, most_rows)))
    parts, rows = [], 0
    for users, impressions in zip(shop.users, shop.impressions, strict=True):
        part = pd.read_parquet(impressions).merge(pd.read_parquet(users), on="user")
        parts.append(part)
        rows += len(part)
        if rows >= most_rows:
            break
    frame = pd.concat(parts, ignore_index=True).merge(pd.read_parquet(shop.items), on="item")
    day = pd.to_datetime(frame["time"] // simulated.DAY, unit="D")
    frame = frame.assign(
        item=frame["item"].astype("str"),
        price=frame.price_cents / 100,
        hour=(frame["time"] % simulated.DAY) // 3600,
        weekday=day.dt.day_name(),
    )
    seen = ["category", "item", "price", "position", "device", "segment", "hour", "weekday"]
    outcome = frame["click"].astype("float64")
    return Overview(frame[seen], "click", "binary", outcome, "click rate", day, [])


def _outcome(target: pd.Series, task: Task) -> tuple[pd.Series, str]:
    if task == "regression":
        return target.astype("float64"), f"average {target.name}"
    if task == "binary":
        words = isinstance(target.dtype, pd.CategoricalDtype)
        known = target.cat.remove_unused_categories().cat.categories if words else target
        positive = (list(known) if words else sorted(target.unique()))[1]
    else:
        positive = target.value_counts().index[0]
    return (target == positive).astype("float64"), f"share of {target.name} = {positive}"
