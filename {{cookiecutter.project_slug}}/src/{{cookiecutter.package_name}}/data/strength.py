"""What a column says about the target by itself."""

from __future__ import annotations

import pandas as pd
from pandas.api import types

from .examples import Examples


def bins(column: pd.Series) -> pd.Series:
    """Numbers of many values and dates in ten bins of equal size, named by their lowest value."""
    number = types.is_numeric_dtype(column) and not types.is_bool_dtype(column)
    if types.is_datetime64_any_dtype(column) or (number and column.nunique() > 12):
        numbers = pd.qcut(column.rank(method="average"), 10, labels=False, duplicates="drop")
        lowest = column.groupby(numbers).transform("min")
        return lowest if number else lowest.dt.floor("D")
    return column


def explained(column: pd.Series, outcome: pd.Series) -> float:
    """Share of the variance of ``outcome`` between the values or bins of ``column``, 0 to 1.

    The correlation ratio η² (Pearson, 1905), less what as many random groups would explain.
    """
    total = float(outcome.var(ddof=0))
    if total == 0:
        return 0.0
    groups = outcome.groupby(bins(column), observed=True, dropna=False)
    means, sizes = groups.mean(), groups.size()
    between = float((sizes * (means - outcome.mean()) ** 2).sum() / len(outcome))
    chance = total * (len(means) - 1) / max(len(outcome) - 1, 1)
    return max(0.0, (between - chance) / total)


def strength(examples: Examples) -> dict[str, float]:
    """:func:`explained` for each feature; for many classes, the mean over one class at a time."""
    schema, frame = examples.schema, examples.frame
    target = frame[schema.target].astype("float64")
    outcomes = [target]
    if schema.task == "multiclass":
        outcomes = [(target == code).astype("float64") for code in sorted(target.unique())]
    return {
        name: sum(explained(frame[name], outcome) for outcome in outcomes) / len(outcomes)
        for name in schema.features
    }
