"""Features of your own table: its columns, and what dates say."""

from __future__ import annotations

import datetime

import pandas as pd
from pandas.api import types

from ..config import Config, TableConfig
from ..data.examples import Examples, Kind, Schema
from ..data.leaks import refuse_leaks
from ..data.roles import LEARNABLE, Column
from ..data.table import EPOCH, Table, read_table
from .declared import select


def build(config: Config) -> Examples:
    """Read the table, refuse columns that give the target away, and type the rest.

    Raises:
        UserError: see :func:`read_table` and :func:`refuse_leaks`.
    """
    assert isinstance(config.data, TableConfig)
    table = read_table(config.data)
    refuse_leaks(table, config.data.target, config.data.keep)
    columns = _columns(table)
    chosen = select(list(columns), config.features)
    target, classes = _target(table, config.data.target)
    frame = pd.DataFrame({name: columns[name][1] for name in chosen}, copy=False)
    frame[config.data.target] = target
    row = _free("#row", frame)
    frame[row] = range(len(frame))
    order: dict[str, str] = {}  # names of columns beside the features, for splits
    for name in dict.fromkeys(filter(None, (config.data.time, config.data.group))):
        order[name] = _free(f"#{name}", frame)
        frame[order[name]] = _as_order(table.frame[name])
    schema = Schema(
        task=table.task,
        target=config.data.target,
        features={name: columns[name][0] for name in chosen},
        classes=classes,
        key=[row],
        time=order.get(config.data.time or ""),
        group=order.get(config.data.group or ""),
        recurring=config.data.recurring,
    )
    meaning = {name: columns[name][2] for name in chosen}
    return Examples(
        frame,
        schema,
        table.inputs,
        meaning,
        table.notes,
        contract=table.contract,
        span=_span(table.frame[config.data.time]) if config.data.time else None,
    )


def _span(times: pd.Series) -> tuple[datetime.date, datetime.date] | None:
    """The first and the last day of dates."""
    if not types.is_datetime64_any_dtype(times):
        return None
    return times.min().date(), times.max().date()


def _free(name: str, frame: pd.DataFrame) -> str:
    """``name``, with more of its sign in front where the table has such a column."""
    while name in frame:
        name = f"#{name}"
    return name


def _columns(table: Table) -> dict[str, tuple[Kind, pd.Series, str]]:
    """Feature name -> kind, values and meaning."""
    found: dict[str, tuple[Kind, pd.Series, str]] = {}
    for column in table.columns:
        if column.role in LEARNABLE:
            made = features_of(column, table.frame[column.name])
            hour = made.get(f"{column.name}_hour")
            if column.role == "date" and hour and not (hour[1].dropna() != 0).any():
                del made[f"{column.name}_hour"]  # days without a time
            found |= made
    return found


def features_of(column: Column, values: pd.Series) -> dict[str, tuple[Kind, pd.Series, str]]:
    """What a model may see of a column: name -> kind, values and meaning.

    A date becomes its day, weekday and hour. A value depends on its own row alone, so rows that are
    scored one at a time, or years later, mean what they meant in training.
    """
    name, why = column.name, column.why
    if column.role == "numeric":
        return {name: ("numeric", values.astype("float64"), why)}
    if column.role == "boolean":
        flags = values.cat.codes.astype("float64")  # false before true, missing is -1
        return {name: ("numeric", flags.where(flags >= 0), why)}
    if column.role == "category":
        return {name: ("categorical", values, why)}
    days = (values - EPOCH).dt.total_seconds() // 86_400
    weekday, hour = values.dt.day_of_week.astype("float64"), values.dt.hour.astype("float64")
    return {
        f"{name}_day": ("numeric", days, f"day, counted from 1970, of {name}"),
        f"{name}_weekday": ("numeric", weekday, f"weekday, 0 is Monday, of {name}"),
        f"{name}_hour": ("numeric", hour, f"hour of {name}"),
    }


def _target(table: Table, name: str) -> tuple[pd.Series, list[str]]:
    values = table.frame[name]
    if table.task == "regression":
        return values.astype("float64"), []
    if isinstance(values.dtype, pd.CategoricalDtype):
        met = values.cat.remove_unused_categories()
        return met.cat.codes.astype("int64"), [str(word) for word in met.cat.categories]
    codes, classes = pd.factorize(values, sort=True)
    return pd.Series(codes, index=values.index), [_plain(value) for value in classes]


def _plain(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else str(value)


def _as_order(values: pd.Series) -> pd.Series:
    """Dates as days and the words of a group as codes: something a split can compare."""
    if types.is_datetime64_any_dtype(values):
        return (values - values.min()).dt.total_seconds() / 86_400
    if isinstance(values.dtype, pd.CategoricalDtype):
        return values.cat.codes.astype("int64")
    return values
