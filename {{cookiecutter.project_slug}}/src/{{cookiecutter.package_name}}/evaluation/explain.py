"""What a fitted model goes by: which features matter to it, how, and where it errs most.

All of it looks at a model from outside, through ``predict`` alone, on rows it has not learnt from.
So it holds for any model, and says what the model does, not what causes the target.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import pandas as pd

from ..data.examples import Kind, Schema
from ..progress import track
from ..training import seeds
from ..training.models import Model
from .influence import influence
from .intervals import clusters, student
from .metrics import LOWER_IS_BETTER, MAIN_METRIC, Floats, Integers, bounded

MOST_ROWS = 20_000  # rows that are shuffled, evenly drawn from those there are
MOST_CELLS = 2_000_000  # rows times features of one prediction, so fewer rows of a wide table
MOST_FEATURES = 30  # the strongest by the model's own account
REPEATS = 5
STRONGEST = 4  # features whose partial dependence is computed
MOST_ERRORS = 10
_CURVE_ROWS = 1_000
_GRID = 20  # points of a numeric feature
_CATEGORIES = 8  # values of a categorical feature
_CLASSES = 6  # classes whose curves are drawn
_LINES = 12
_LONGEST = 60  # characters of a text in a table of examples
_NORMAL = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True)
class Importance:
    """How much worse the metric gets when the values of a feature are shuffled over the rows.

    In the unit of the metric, positive where the model needs the feature; with the bounds of a 95 %
    interval, NaN where there is one group of rows only.
    """

    feature: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Dependence:
    """The mean prediction when every row is given the same value of a feature."""

    feature: str
    kind: Kind
    values: list[float] | list[str]  # the grid
    curves: dict[str, Floats]  # what is predicted -> its mean at each value
    lines: Floats  # shape (rows, values): the same for single rows; empty for many classes


@dataclass(frozen=True)
class Explanation:
    """What a model goes by, on ``rows`` judged rows."""

    metric: str
    rows: int
    repeats: int
    features: int  # that the model has; no more than ``MOST_FEATURES`` are in ``importance``
    importance: list[Importance]  # the strongest first
    dependence: list[Dependence]
    errors: pd.DataFrame  # the largest: key, true, predicted, and the error, a row each
    error_features: pd.DataFrame  # the features of the same rows


def explain(model: Model, frame: pd.DataFrame, predicted: Floats, seed: int) -> Explanation:
    """Explain ``model`` on ``frame``, rows it has not learnt from, for which it gave ``predicted``.

    At most ``MOST_ROWS`` rows are shuffled, so the cost does not grow with the table. The same
    bytes for the same model, rows and ``seed``.
    """
    schema = model.schema
    most = min(MOST_ROWS, MOST_CELLS // max(len(schema.features), 1))
    rows = evenly(len(frame), most)
    some = frame.iloc[rows].reset_index(drop=True)
    found = importance(model, some, predicted[rows], seed)
    strongest = [each.feature for each in found if each.value > 0][:STRONGEST]
    few = some.iloc[evenly(len(some), _CURVE_ROWS)].reset_index(drop=True)
    curves = [dependence(model, few, name) for name in track(strongest, "partial dependence")]
    errors, features = largest_errors(frame, predicted, schema)
    return Explanation(
        MAIN_METRIC[schema.task],
        len(some),
        REPEATS,
        len(schema.features),
        found,
        curves,
        errors,
        features,
    )


def importance(
    model: Model, frame: pd.DataFrame, predicted: Floats, seed: int, repeats: int = REPEATS
) -> list[Importance]:
    """Permutation importance of the features of ``model`` for its main metric.

    Breiman, "Random forests", 2001; for any model: Fisher, Rudin and Dominici, "All models are
    wrong, but many are useful", 2019. Values go from row to row over all rows, also across groups.
    Features that tell the same share their importance: shuffling one leaves the other.

    The interval is for other rows of the same kind: the variance of the estimate is that of a
    U-statistic, in which a row counts both as the one that gets a value and as the one that gives
    it (Hoeffding, "A class of statistics with asymptotically normal distribution", 1948), summed
    over whole groups of rows where there are groups. It is a little too wide, as
    chance in the shuffling counts on both sides.
    """
    schema = model.schema
    metric = MAIN_METRIC[schema.task]
    target = frame[schema.target].to_numpy()
    if len(np.unique(target)) < 2:  # such as where a class is so rare that no row was drawn
        return []
    sign = 1.0 if metric in LOWER_IS_BETTER else -1.0
    groups = clusters(frame, schema)
    base, own = influence(metric, target, predicted)
    found = []
    for name in track(_candidates(model), "permutation importance"):
        random = seeds.stream(seed, f"importance {name}")
        column = frame[name]
        values, effects = np.empty(repeats), np.zeros(len(frame))
        for repeat in range(repeats):
            order = random.permutation(len(frame))
            shuffled = column.iloc[order].set_axis(frame.index)
            value, each = influence(metric, target, model.predict(frame.assign(**{name: shuffled})))
            values[repeat] = sign * (value - base)
            effects += sign * (each - own) / repeats
            effects[order] += sign * (each - own) / repeats
        mean = float(values.mean())
        half = _half_width(effects, groups)
        found.append(Importance(name, mean, mean - half, mean + half))
    # Equal ones, such as features that are not used, stay in the order in which the model has them.
    return sorted(found, key=lambda each: -each.value)


def dependence(model: Model, frame: pd.DataFrame, name: str) -> Dependence:
    """Partial dependence (Friedman, "Greedy function approximation", 2001) on one feature, and the
    lines of some rows (Goldstein and others, "Peeking inside the black box", 2015).

    For a binary task the curve is the probability of the second class, for many classes there is
    one for each of the most frequent. Combinations that never occur are asked for as well: where
    features go together, read it with care.
    """
    schema = model.schema
    kind = schema.features[name]
    values = _grid(frame[name], kind)
    many = pd.concat([frame] * len(values), ignore_index=True)
    column = np.repeat(np.array(values, dtype=object), len(frame))
    many[name] = pd.Series(column).astype(frame[name].dtype)
    found = model.predict(many)
    found = found.reshape(len(values), len(frame), *found.shape[1:])
    if schema.task == "multiclass":
        counts = np.bincount(frame[schema.target].to_numpy(), minlength=len(schema.classes))
        frequent = sorted(np.argsort(-counts, kind="stable")[:_CLASSES])
        curves = {schema.classes[code]: found[:, :, code].mean(axis=1) for code in frequent}
        lines = np.empty((0, len(values)))
    else:
        what = schema.target if schema.task == "regression" else schema.classes[1]
        curves = {what: found.mean(axis=1)}
        # From low to high predictions, so that the few lines stand for all rows.
        order = np.argsort(found.mean(axis=0), kind="stable")
        lines = found[:, order[evenly(len(order), _LINES)]].T
    return Dependence(name, kind, values, curves, lines)


def largest_errors(
    frame: pd.DataFrame, predicted: Floats, schema: Schema, most: int = MOST_ERRORS
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows with the largest error, and the features of the same rows.

    The error is the absolute one for a regression, and the log loss of the row for classes. Long
    texts are cut.
    """
    target = frame[schema.target].to_numpy()
    if schema.task == "regression":
        error = np.abs(target.astype(np.float64) - predicted)
        told = {"true": target.astype(np.float64), "predicted": predicted, "error": error}
    else:
        chance = predicted if predicted.ndim == 2 else np.column_stack([1 - predicted, predicted])
        classes = np.array(schema.classes, dtype=object)
        true = chance[np.arange(len(target)), target]
        told = {
            "true": classes[target],
            "predicted": classes[chance.argmax(axis=1)],
            "probability of true": true,
            "log loss": -np.log(bounded(true)),
        }
        error = told["log loss"]
    worst = np.argsort(-error, kind="stable")[:most]
    key = frame[schema.key].iloc[worst].rename(columns=lambda name: str(name).lstrip("#") or name)
    outcome = pd.DataFrame({name: values[worst] for name, values in told.items()}, index=key.index)
    rows = pd.concat([key, outcome], axis=1).reset_index(drop=True)
    features = frame[list(schema.features)].iloc[worst].reset_index(drop=True)
    return _cut(rows), _cut(features)


def evenly(count: int, most: int) -> Integers:
    """At most ``most`` of ``count`` row numbers, rising and evenly spread."""
    if count <= most:
        return np.arange(count, dtype=np.int64)
    return (np.arange(most, dtype=np.int64) * count) // most


def _candidates(model: Model) -> list[str]:
    """The features to shuffle, in the model's order: all, or the strongest by its own account."""
    names = list(model.schema.features)
    if len(names) <= MOST_FEATURES:
        return names
    own = model.importance()
    kept = set(sorted(names, key=lambda name: -own.get(name, 0.0))[:MOST_FEATURES])
    return [name for name in names if name in kept]


def _grid(column: pd.Series, kind: Kind) -> list[float] | list[str]:
    known = column.dropna()
    if kind == "categorical":
        # The order of equal counts is that of the texts, whatever the order of the rows.
        counts = known.astype("str").value_counts().sort_index()
        top = counts.sort_values(ascending=False, kind="stable").head(_CATEGORIES)
        return [str(value) for value in top.index]
    values = np.unique(known.to_numpy(dtype=np.float64))
    if len(values) > _GRID:
        ranks = np.linspace(0.025, 0.975, _GRID)
        # Values that occur: between two of them the model was never asked.
        all_values = known.to_numpy(dtype=np.float64)
        values = np.unique(np.quantile(all_values, ranks, method="inverted_cdf"))
    return [float(value) for value in values]


def _half_width(effects: Floats, groups: Integers) -> float:
    """Half the 95 % interval of the mean of ``effects`` of rows, when whole groups are drawn."""
    count = int(groups.max()) + 1
    if count < 2:
        return float("nan")
    sums = np.bincount(groups, weights=effects - effects.mean()) / len(effects)
    deviation = np.sqrt((sums**2).sum() * count / (count - 1))
    return float(student(_NORMAL, count - 1) * deviation)


def _cut(table: pd.DataFrame) -> pd.DataFrame:
    def short(value: object) -> object:
        is_long = isinstance(value, str) and len(value) > _LONGEST
        return f"{str(value)[: _LONGEST - 1]}…" if is_long else value

    return table.map(short)
