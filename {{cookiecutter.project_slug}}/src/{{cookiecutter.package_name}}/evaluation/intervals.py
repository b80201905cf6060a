"""How far each metric may be off because other rows could have been drawn: 95 % intervals.

The percentile bootstrap (Efron and Tibshirani, "An introduction to the bootstrap", 1993, chapter
13). Rows of one group, such as the visits of one user, are alike, so whole groups are drawn, not
rows (Field and Welsh, "Bootstrapping clustered data", 2007); else intervals come out too narrow.

A resample is a weight for each group, how often it was drawn. A metric under weights is its value
on the rows repeated that often, and costs a few passes over the rows instead of sorting them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ..data.examples import Schema
from .metrics import Floats, Integers, by_list, calibration_error

RESAMPLES = 200
_TAILS = (0.025, 0.975)
_BLOCK = 2_000_000  # weights of rows held at once: bounds the memory to some hundred MB


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

    Drawn by ``schema.group`` where rows have one, else by ranking list, else by row. A metric that
    is undefined in most resamples (one class only) has no interval, and neither has anything when
    there is only one group.
    """
    groups = clusters(frame, schema)
    count = int(groups.max()) + 1 if len(groups) else 0
    if count < 2:
        return {}
    found: dict[str, list[Floats]] = {}
    step = max(1, _BLOCK // len(frame))
    judge = Weighted(frame, predicted, schema, groups, top_k, bins)
    for first in range(0, resamples, step):
        weights = np.empty((min(step, resamples - first), count))
        for row in weights:  # one at a time: draws do not depend on the size of a block
            row[:] = np.bincount(random.integers(0, count, count), minlength=count)
        for metric, values in judge.scores(weights).items():
            found.setdefault(metric, []).append(values)
    bounds = {metric: _bounds(np.concatenate(blocks)) for metric, blocks in found.items()}
    if inflated := bounds.get("calibration_error"):
        itself = calibration_error(frame[schema.target].to_numpy(), predicted, bins)
        bounds["calibration_error"] = _turned(inflated, itself)
    return {metric: each for metric, each in bounds.items() if each}


def clusters(frame: pd.DataFrame, schema: Schema) -> Integers:
    """For each row the number of its group, from 0."""
    by = schema.group or schema.ranking
    if by is None:
        return np.arange(len(frame), dtype=np.int64)
    return np.asarray(pd.factorize(frame[by])[0], dtype=np.int64)


class Weighted:
    """The metrics of fixed rows and predictions under many weightings of their groups."""

    def __init__(
        self,
        frame: pd.DataFrame,
        predicted: Floats,
        schema: Schema,
        groups: Integers,
        top_k: int = 10,
        bins: int = 10,
    ) -> None:
        self._schema, self._groups, self._bins = schema, groups, bins
        self._sizes = np.bincount(groups).astype(np.float64)
        self._target = frame[schema.target].to_numpy()
        self._predicted = predicted
        self._lists: dict[str, tuple[Floats, Floats]] = {}
        if schema.ranking is not None and schema.task == "binary":
            lists = frame[schema.ranking].to_numpy()
            names, first = np.unique(lists, return_index=True)
            for metric, (ids, values) in by_list(lists, self._target, predicted, top_k).items():
                owner = groups[first[np.searchsorted(names, ids)]]
                self._lists[metric] = (self._sums(owner, values), self._sums(owner))
        if schema.task == "binary":
            self._order = np.argsort(predicted, kind="stable")

    def scores(self, weights: Floats) -> dict[str, Floats]:
        """Metrics under ``weights`` of shape ``(resamples, groups)``; each has a value a resample,
        NaN where it is undefined."""
        with np.errstate(divide="ignore", invalid="ignore"):
            task = {"regression": self._regression, "multiclass": self._multiclass}
            return dict(task.get(self._schema.task, self._binary)(weights))

    def _mean(self, weights: Floats, values: Floats) -> Floats:
        sums = self._sums(self._groups, values)
        return np.asarray((weights @ sums) / (weights @ self._sizes))

    def _sums(self, groups: Integers, values: Floats | None = None) -> Floats:
        found = np.bincount(groups, weights=values, minlength=len(self._sizes))
        return found.astype(np.float64)

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
        loss = -np.log(_clipped(self._predicted[np.arange(len(target)), target]))
        right = (chosen == target).astype(np.float64)
        f1 = np.zeros(len(weights))
        for label in range(len(self._schema.classes)):
            hits = weights @ self._sums(self._groups, right * (target == label))
            named = (target == label).astype(np.float64) + (chosen == label)
            total = weights @ self._sums(self._groups, named)
            f1 += np.divide(2 * hits, total, out=np.zeros_like(total), where=total > 0)
        return {
            "log_loss": self._mean(weights, loss),
            "accuracy": self._mean(weights, right),
            "macro_f1": f1 / len(self._schema.classes),
        }

    def _binary(self, weights: Floats) -> Mapping[str, Floats]:
        target, predicted = self._target[self._order], self._predicted[self._order]
        row = weights[:, self._groups[self._order]]  # weights of rows, by rising prediction
        below = _cumulated(row)
        hits = np.flatnonzero(target == 1)
        hit, hits_below = row[:, hits], _cumulated(row[:, hits])
        total, positives = below[:, -1], hits_below[:, -1]
        # Rows of equal prediction count half, as one threshold cannot part them: where the block
        # of rows that are equal to each hit begins and ends, among all rows and among hits.
        own = predicted[hits]
        start, end = (np.searchsorted(predicted, own, side) for side in ("left", "right"))
        first, last = (np.searchsorted(own, own, side) for side in ("left", "right"))
        misses = (below[:, start] - hits_below[:, first] + below[:, end] - hits_below[:, last]) / 2
        reached = total[:, None] - below[:, start]
        precision = (positives[:, None] - hits_below[:, first]) / np.where(reached > 0, reached, 1)
        loss = -np.log(_clipped(np.where(self._target == 1, self._predicted, 1 - self._predicted)))
        found = {
            "roc_auc": (hit * misses).sum(axis=1) / (positives * (total - positives)),
            "average_precision": (hit * precision).sum(axis=1) / positives,
            "log_loss": self._mean(weights, loss),
            "calibration_error": self._calibration(row, below, target, predicted),
        }
        for metric, (values, lists) in self._lists.items():
            found[metric] = (weights @ values) / (weights @ lists)
        return found

    def _calibration(
        self, row: Floats, below: Floats, target: Integers, predicted: Floats
    ) -> Floats:
        gap = _cumulated(row * (predicted - target))
        shares = np.linspace(0, 1, self._bins + 1)[1:-1]
        found = np.empty(len(row))
        for number, cumulated in enumerate(below):
            edges = _quantiles(predicted, cumulated[1:], shares)
            ends = np.searchsorted(predicted, edges, side="right")
            sums = np.diff(gap[number, [0, *ends, -1]])
            found[number] = np.abs(sums).sum() / cumulated[-1]
        return found


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


def _cumulated(rows: Floats) -> Floats:
    """Sums along the rows, from 0: one column more than ``rows`` has."""
    found = np.zeros((rows.shape[0], rows.shape[1] + 1))
    np.cumsum(rows, axis=1, out=found[:, 1:])
    return found


def _clipped(chance: Floats) -> Floats:
    edge = np.finfo(np.float64).eps
    return np.asarray(np.clip(chance, edge, 1 - edge))


def _bounds(values: Floats) -> tuple[float, float] | None:
    defined = values[np.isfinite(values)]
    if len(defined) * 2 < len(values):
        return None
    low, high = (float(value) for value in np.quantile(defined, _TAILS))
    return low, high


def _turned(bounds: tuple[float, float], itself: float) -> tuple[float, float]:
    """The "basic" interval (the same book): ``bounds`` mirrored at the metric ``itself``.

    For a metric that noise adds to and never takes from, as the rows have noise and a resample has
    it twice: the percentiles lie above the true value, and their mirror image around it.
    """
    low, high = bounds
    return max(0.0, min(2 * itself - high, itself)), max(2 * itself - low, itself)
