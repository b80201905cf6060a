"""How far each metric may be off because other rows could have been drawn: 95 % intervals.

The percentile bootstrap (Efron and Tibshirani, "An introduction to the bootstrap", 1993, chapter
13), with tails that are a little further out when there is little to draw from (Hesterberg, "What
teachers should know about the bootstrap", 2015, section 3.3). Rows of one group, such as the visits
of one user, are alike, so whole groups are drawn, not rows (Field and Welsh, "Bootstrapping
clustered data", 2007); else intervals come out too narrow.

A resample is a weight for each group, how often it was drawn. A metric under weights is its value
on the rows repeated that often. It comes from sums by group, so that it costs one small product of
matrices, however many rows there are. Two limits keep the matrices small: beyond :data:`UNITS`
groups, groups chosen by chance are drawn together, which widens or narrows an interval by about
2 %; and beyond :data:`LEVELS` different predictions, neighbours count as equal in the metrics that
need an order, which moves an AUC by about a millionth.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist

import numpy as np
import pandas as pd

from ..data.examples import Schema
from .metrics import Floats, Integers, bounded, by_list, score

RESAMPLES = 200
UNITS = 1000  # that are drawn, at most
LEVELS = 1024  # of predictions that are told apart, at most
_TAIL = 0.025
_NORMAL = NormalDist()
# Noise adds to them, in the rows and once more in a resample: see `_turned`.
_INFLATED = "calibration_error"
_SLANTED = {_INFLATED, "average_precision"}


@dataclass(frozen=True)
class Resamples:
    """What was drawn, the same for all that is to be compared.

    Attributes:
        unit: of each row the number of the unit it is drawn with, from 0, of shape ``(rows,)``.
        weights: how often each unit was drawn, of shape ``(resamples, units)``.
        clusters: how many independent groups of rows there are.
    """

    unit: Integers
    weights: Floats
    clusters: int

    @cached_property
    def sizes(self) -> Floats:
        """The rows of each unit."""
        return self.sums(None)

    def sums(self, values: Floats | None) -> Floats:
        """Of ``values`` of the rows by unit; without values, the number of rows."""
        found = np.bincount(self.unit, weights=values, minlength=self.weights.shape[1])
        return found.astype(np.float64)

    def mean(self, values: Floats) -> Floats:
        """The mean of ``values`` of the rows in each resample."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray((self.weights @ self.sums(values)) / (self.weights @ self.sizes))

    def bounds(
        self, metric: str, values: Floats, itself: float, difference: bool = False
    ) -> tuple[float, float] | None:
        """The interval of ``metric``, or of a ``difference`` in it, which is ``itself`` on the rows
        and has ``values`` in the resamples; None when it is undefined in most of them."""
        defined = values[np.isfinite(values)]
        if len(defined) * 2 < len(values) or not math.isfinite(itself):
            return None
        tail = _tail(self.clusters)
        # "weibull": of 200 draws, the share beyond the bounds is the stated one on average.
        low, high = np.quantile(defined, (tail, 1 - tail), method="weibull")
        found = float(low), float(high)
        if difference and metric in _SLANTED:
            other = _turned(found, itself)
            return min(found[0], other[0]), max(found[1], other[1])
        if metric == _INFLATED:
            low, high = _turned(found, itself)
            return max(0.0, min(low, itself)), max(high, itself)
        return found


def resample(
    frame: pd.DataFrame, schema: Schema, random: np.random.Generator, resamples: int = RESAMPLES
) -> Resamples | None:
    """Draw by ``schema.group`` where rows have one, else by ranking list, else by row; None when
    there is only one group."""
    groups = clusters(frame, schema)
    count = int(groups.max()) + 1 if len(groups) else 0
    if count < 2:
        return None
    units = min(count, UNITS)
    unit = (random.permutation(count) % units)[groups] if count > units else groups
    weights = np.empty((resamples, units))
    for row in weights:
        row[:] = np.bincount(random.integers(0, units, units), minlength=units)
    return Resamples(unit, weights, count)


def intervals(
    frame: pd.DataFrame,
    predicted: Floats,
    schema: Schema,
    random: np.random.Generator,
    top_k: int = 10,
    bins: int = 10,
    resamples: int = RESAMPLES,
) -> dict[str, tuple[float, float]]:
    """For each metric of :func:`.metrics.score` the bounds of its 95 % interval, low and high.

    A metric that is undefined in most resamples (one class only) has no interval, and neither has
    anything when there is only one group.
    """
    drawn = resample(frame, schema, random, resamples)
    if drawn is None:
        return {}
    itself = score(frame, predicted, schema, top_k, bins)
    values = resampled(frame, predicted, schema, drawn, itself, top_k, bins)
    found = {metric: drawn.bounds(metric, each, itself[metric]) for metric, each in values.items()}
    return {metric: each for metric, each in found.items() if each}


def resampled(
    frame: pd.DataFrame,
    predicted: Floats,
    schema: Schema,
    drawn: Resamples,
    itself: Mapping[str, float],
    top_k: int = 10,
    bins: int = 10,
) -> dict[str, Floats]:
    """The metrics of ``predicted`` in each resample, around what they are on the rows ``itself``:
    what comes of telling fewer predictions apart is taken off."""
    judge = Weighted(frame, predicted, schema, drawn, top_k, bins)
    once = judge.scores(np.ones((1, drawn.weights.shape[1])))
    return {
        metric: values + np.nan_to_num(itself[metric] - once[metric][0])
        for metric, values in judge.scores(drawn.weights).items()
    }


def clusters(frame: pd.DataFrame, schema: Schema) -> Integers:
    """For each row the number of its group, from 0."""
    by = schema.group or schema.ranking
    if by is None:
        return np.arange(len(frame), dtype=np.int64)
    return np.asarray(pd.factorize(frame[by])[0], dtype=np.int64)


class Weighted:
    """The metrics of fixed rows and predictions under many weightings of the units of ``drawn``."""

    def __init__(
        self,
        frame: pd.DataFrame,
        predicted: Floats,
        schema: Schema,
        drawn: Resamples,
        top_k: int = 10,
        bins: int = 10,
    ) -> None:
        self._schema, self._bins, self._drawn = schema, bins, drawn
        self._target = frame[schema.target].to_numpy()
        self._predicted = predicted
        self._lists: dict[str, tuple[Floats, Floats]] = {}
        if schema.ranking is not None and schema.task == "binary":
            lists = frame[schema.ranking].to_numpy()
            names, first = np.unique(lists, return_index=True)
            for metric, (ids, values) in by_list(lists, self._target, predicted, top_k).items():
                owner = drawn.unit[first[np.searchsorted(names, ids)]]
                units = drawn.weights.shape[1]
                self._lists[metric] = (
                    np.bincount(owner, weights=values, minlength=units).astype(np.float64),
                    np.bincount(owner, minlength=units).astype(np.float64),
                )

    def scores(self, weights: Floats) -> dict[str, Floats]:
        """Metrics under ``weights`` of shape ``(resamples, units)``; each has a value a resample,
        NaN where it is undefined."""
        with np.errstate(divide="ignore", invalid="ignore"):
            task = {"regression": self._regression, "multiclass": self._multiclass}
            return dict(task.get(self._schema.task, self._binary)(weights))

    def _mean(self, weights: Floats, values: Floats) -> Floats:
        sums = self._drawn.sums(values)
        return np.asarray((weights @ sums) / (weights @ self._drawn.sizes))

    def _regression(self, weights: Floats) -> Mapping[str, Floats]:
        target = self._target.astype(np.float64)
        error = target - self._predicted
        centred = target - target.mean()  # so that squares do not drown the differences
        squared = self._mean(weights, error**2)
        spread = self._mean(weights, centred**2) - self._mean(weights, centred) ** 2
        return {
            "rmse": np.sqrt(squared),
            "mae": self._mean(weights, np.abs(error)),
            "r2": np.where(spread > 0, 1 - squared / spread, np.nan),
        }

    def _multiclass(self, weights: Floats) -> Mapping[str, Floats]:
        target = self._target.astype(np.int64)
        chosen = self._predicted.argmax(axis=1)
        loss = -np.log(bounded(self._predicted[np.arange(len(target)), target]))
        right = (chosen == target).astype(np.float64)
        f1 = np.zeros(len(weights))
        for label in range(len(self._schema.classes)):
            hits = weights @ self._drawn.sums(right * (target == label))
            named = (target == label).astype(np.float64) + (chosen == label)
            total = weights @ self._drawn.sums(named)
            f1 += np.divide(2 * hits, total, out=np.zeros_like(total), where=total > 0)
        return {
            "log_loss": self._mean(weights, loss),
            "accuracy": self._mean(weights, right),
            "macro_f1": f1 / len(self._schema.classes),
        }

    def _binary(self, weights: Floats) -> Mapping[str, Floats]:
        levels = self._levels
        rows, hits = weights @ levels.rows, weights @ levels.hits  # by level, from low to high
        misses = rows - hits
        below = np.cumsum(misses, axis=1) - misses / 2  # of one level: one half each
        total, positives = rows.sum(axis=1), hits.sum(axis=1)
        reached, found_there = _from_the_top(rows), _from_the_top(hits)
        precision = found_there / np.where(reached > 0, reached, 1)
        loss = -np.log(bounded(np.where(self._target == 1, self._predicted, 1 - self._predicted)))
        found = {
            "roc_auc": (hits * below).sum(axis=1) / (positives * (total - positives)),
            "average_precision": (hits * precision).sum(axis=1) / positives,
            "log_loss": self._mean(weights, loss),
            "calibration_error": self._calibration(rows, hits),
        }
        for metric, (values, lists) in self._lists.items():
            found[metric] = (weights @ values) / (weights @ lists)
        return found

    @cached_property
    def _levels(self) -> _Levels:
        return _told_apart(self._predicted, self._target, self._drawn)

    def _calibration(self, rows: Floats, hits: Floats) -> Floats:
        levels = self._levels
        gap = np.zeros((len(rows), rows.shape[1] + 1))
        np.cumsum(rows * levels.mean - hits, axis=1, out=gap[:, 1:])
        below = np.cumsum(rows, axis=1)
        shares = np.linspace(0, 1, self._bins + 1)[1:-1]
        found = np.empty(len(rows))
        for number, cumulated in enumerate(below):
            edges = _quantiles(levels.highest, cumulated, shares)
            ends = np.searchsorted(levels.highest, edges, side="right")
            sums = np.diff(gap[number, [0, *ends, -1]])
            found[number] = np.abs(sums).sum() / cumulated[-1]
        return found


@dataclass(frozen=True)
class _Levels:
    """Predictions from low to high, those that are equal or all but equal as one."""

    highest: Floats  # prediction of each level
    mean: Floats
    rows: Floats  # by unit and level
    hits: Floats  # positive rows by unit and level


def _told_apart(predicted: Floats, target: Integers, drawn: Resamples) -> _Levels:
    highest, level = np.unique(predicted, return_inverse=True)
    mean = highest
    if len(highest) > LEVELS:
        # As many edges among the positives as among the others: with few positives each is on a
        # level of its own, which leaves every metric as it was.
        each = LEVELS // 2
        edges = [
            np.sort(predicted[target == value])[np.arange(each) * count // each]
            for value, count in zip((0, 1), np.bincount(target, minlength=2), strict=True)
            if count
        ]
        level = np.searchsorted(np.unique(np.concatenate(edges))[1:], predicted, side="right")
        ends = np.cumsum(np.bincount(level))
        highest = np.sort(predicted)[ends - 1]
        mean = np.bincount(level, weights=predicted) / np.bincount(level)
    units, count = drawn.weights.shape[1], len(highest)
    cell = drawn.unit * count + level
    rows = np.bincount(cell, minlength=units * count)
    hits = np.bincount(cell[target == 1], minlength=units * count)
    shape = (units, count)
    return _Levels(
        highest, mean, rows.reshape(shape).astype(float), hits.reshape(shape).astype(float)
    )


def _from_the_top(counts: Floats) -> Floats:
    """Sums over each level and all above it."""
    return np.asarray(np.cumsum(counts[:, ::-1], axis=1)[:, ::-1])


def _quantiles(values: Floats, cumulated: Floats, shares: Floats) -> Floats:
    """``np.quantile`` of rising ``values``, each repeated as often as its weight says."""
    place = shares * (cumulated[-1] - 1)
    before = np.floor(place)
    low = values[np.searchsorted(cumulated, before, side="right")]
    after = np.minimum(before + 1, cumulated[-1] - 1)
    high = values[np.searchsorted(cumulated, after, side="right")]
    part, step = place - before, high - low
    # Rounded as NumPy does it: an edge that is off by one digit moves a whole block of rows.
    return np.asarray(np.where(part >= 0.5, high - step * (1 - part), low + step * part))


def _tail(clusters: int) -> float:
    """The share to leave out at each end: 2.5 %, less when there are few clusters, as a normal
    quantile is replaced by that of Student's t."""
    wide = student(_NORMAL.inv_cdf(1 - _TAIL), clusters - 1) * math.sqrt(clusters / (clusters - 1))
    return _NORMAL.cdf(-wide)


def student(normal: float, freedom: int) -> float:
    """The quantile of Student's t that leaves as much beyond it as ``normal`` does of the normal
    distribution: within 1 % from 4 degrees of freedom on, too large below (Wallace, "Bounds on
    normal approximations to Student's and the chi-square distributions", 1959)."""
    if freedom > 10_000:
        return normal
    scaled = normal * (8 * freedom + 3) / (8 * freedom + 1)
    return math.copysign(math.sqrt(freedom * math.expm1(scaled**2 / freedom)), normal)


def normal(student: float, freedom: int) -> float:
    """The other way round: the normal quantile that belongs to one of Student's t."""
    if freedom > 10_000:
        return student
    scaled = math.sqrt(freedom * math.log1p(student**2 / freedom))
    return math.copysign(scaled * (8 * freedom + 1) / (8 * freedom + 3), student)


def _turned(bounds: tuple[float, float], itself: float) -> tuple[float, float]:
    """The "basic" interval (the same book): ``bounds`` mirrored at the metric ``itself``.

    For a metric that noise adds to and never takes from, as the rows have noise and a resample has
    it twice: the percentiles lie above the true value, and their mirror image around it. Of a
    difference nobody knows to which side noise adds more, so there both count.
    """
    return 2 * itself - bounds[1], 2 * itself - bounds[0]
