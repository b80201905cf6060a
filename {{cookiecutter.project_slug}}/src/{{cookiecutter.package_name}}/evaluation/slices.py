"""Where a model is off: parts of the rows, the worst first, and no noise shown as a finding.

A slice is the rows with one value of a column, or a range of values. Whoever looks at a hundred
slices finds five that differ by chance, so what is called a finding passes the procedure of
Benjamini and Hochberg ("Controlling the false discovery rate", 1995) over all tests made: of what
it shows, at most a share of :data:`LEVEL` is noise on average, and where all is noise, it shows
something in at most that share of cases.

Intervals do not draw rows again: each metric is, but for a small rest, an average of what each row
contributes (its influence), and averages by group have a known error (Efron, "The jackknife, the
bootstrap and other resampling plans", 1982; for the AUC DeLong, DeLong and Clarke-Pearson, 1988,
and with groups Obuchowski, "Nonparametric analysis of clustered ROC curve data", 1997). Few rows
may agree with each other by chance, so an error is never taken to be smaller than it would be if
the slice were like all rows, or, for the averages, if the predicted probabilities were right.

Where a strong feature hardly varies, the AUC is lower than elsewhere, and nothing is wrong. So a
slice is called worse for its AUC only if that is also below what the predictions themselves promise
for these rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..data.examples import Examples, Schema
from ..errors import UserError, nearest
from .intervals import clusters, normal, student
from .metrics import LOWER_IS_BETTER, MAIN_METRIC, Floats, Integers

LEVEL = 0.05
MIN_ROWS = 30
MOST_VALUES = 30  # of a column: its most frequent ones
RANGES = 4  # of a numeric column, of about equally many rows
_MIN_CLASS = 10  # rows of either class, for an AUC
_NORMAL = NormalDist()
_EPSILON = float(np.finfo(np.float64).eps)
COLUMNS = [
    "slice", "rows", "metric", "low", "high", "gap", "gap_low", "gap_high",
    "true", "predicted", "off", "off_low", "off_high", "finding",
]  # fmt: skip


def find_slices(
    examples: Examples,
    rows: Integers,
    predicted: Floats,
    declared: list[str] | None = None,
    most: int | None = 12,
) -> pd.DataFrame:
    """The slices of ``rows`` of the examples, one a line: :data:`COLUMNS`.

    ``metric`` is the main metric of the task within the slice, ``gap`` how far it is from that of
    all other rows, ``off`` the true minus the predicted average, each with its 95 % interval. Of a
    multi-class target the average is the share of the class that is off most. ``finding`` says in
    words what noise does not explain, else it is empty.

    Found slices are those of at least :data:`MIN_ROWS` rows by the value of a categorical feature
    or by range of a numeric one, the worst first, ``most`` of them; slices of ``declared`` columns
    are always there, after the findings.

    Raises:
        UserError: a declared column is not there.
    """
    frame, schema = examples.frame.iloc[rows], examples.schema
    declared = declared or []
    for name in declared:
        if name not in frame.columns:
            there = [each for each in frame.columns if each != schema.target]
            raise UserError(
                f"evaluation.slices: there is no column '{name}'.{nearest(name, there)}"
            )
    judge = _Judge(frame, predicted, schema)
    found = []
    for name in dict.fromkeys([*declared, *schema.features]):
        chosen = name in declared
        for label, mask in _divide(name, frame[name], schema.features.get(name)):
            if MIN_ROWS <= mask.sum() < len(frame) or (chosen and 0 < mask.sum() < len(frame)):
                found.append((label, chosen, judge.part(mask)))
    tests = [part.worse for _, _, part in found] + [part.off_p for _, _, part in found]
    passed = _discoveries(np.array(tests))
    table = []
    for number, (label, chosen, part) in enumerate(found):
        words = part.words(bool(passed[number]), bool(passed[number + len(found)]))
        worst = min(part.worse, part.off_p)
        order = (not words, not chosen, worst, label)
        table.append((order, [label, *part.numbers(), words]))
    table.sort(key=lambda line: line[0])
    kept = [
        line
        for number, (order, line) in enumerate(table)
        if most is None or number < most or not order[1]
    ]
    return pd.DataFrame(kept, columns=COLUMNS)


@dataclass(frozen=True)
class _Estimate:
    value: float
    error: float  # standard error, known from `freedom` + 1 groups
    freedom: int
    within: tuple[float, float] = (-math.inf, math.inf)  # what is possible at all
    looks: int = 1  # of how many estimates this is the most conspicuous one

    @property
    def bounds(self) -> tuple[float, float]:
        wide = student(_NORMAL.inv_cdf(1 - LEVEL / 2 / self.looks), self.freedom)
        low, high = self.value - wide * self.error, self.value + wide * self.error
        return max(low, self.within[0]), min(high, self.within[1])

    def tail(self, sign: float = 1) -> float:
        """How likely noise makes the value, times ``sign``, as high as it is."""
        if not math.isfinite(self.value) or not self.error > 0:
            return 1.0
        return _NORMAL.cdf(-normal(sign * self.value / self.error, self.freedom))


@dataclass(frozen=True)
class _Part:
    rows: int
    metric: _Estimate
    gap: _Estimate
    true: float
    predicted: float
    off: _Estimate
    promise: _Estimate | None  # of the metric: how far it is from what the predictions promise
    sign: int  # 1 where a high metric is bad
    label: str  # of the class, where there are many

    @property
    def worse(self) -> float:
        """How likely noise makes the metric that much worse than that of the rest."""
        than_promised = self.promise.tail(self.sign) if self.promise else 0.0
        return max(self.gap.tail(self.sign), than_promised)

    @property
    def off_p(self) -> float:
        """How likely noise makes the average that much off, to either side."""
        return min(1.0, 2 * self.off.looks * self.off.tail(math.copysign(1, self.off.value)))

    def numbers(self) -> list[float]:
        metric, gap, off = self.metric, self.gap, self.off
        return [
            self.rows, metric.value, *metric.bounds, gap.value, *gap.bounds,
            self.true, self.predicted, off.value, *off.bounds,
        ]  # fmt: skip

    def words(self, worse: bool, off: bool) -> str:
        said = ["worse than the rest"] if worse else []
        if off:
            of = f"share of {self.label} " if self.label else ""
            said.append(f"{of}predicted too {'low' if self.off.value > 0 else 'high'}")
        return ", ".join(said)


class _Judge:
    """The main metric of parts of the rows, and of all others."""

    def __init__(self, frame: pd.DataFrame, predicted: Floats, schema: Schema) -> None:
        self._schema = schema
        self._groups = clusters(frame, schema)
        self._target = frame[schema.target].to_numpy(dtype=np.float64)
        self._predicted = predicted
        self._within = (0.0, 1.0 if schema.task == "binary" else math.inf)
        self._sign = 1 if MAIN_METRIC[schema.task] in LOWER_IS_BETTER else -1
        if schema.task == "binary":
            self._levels = np.unique(predicted, return_inverse=True)[1]
        elif schema.task == "multiclass":
            own = predicted[np.arange(len(predicted)), self._target.astype(np.int64)]
            self._loss = -np.log(np.clip(own, _EPSILON, 1))
        else:
            self._loss = (self._target - predicted) ** 2
        every = np.arange(len(frame))
        own = self._metric(every)[1] * len(frame)
        self._hit = self._target == (1 if schema.task == "binary" else math.inf)
        # Of one row's influence on the metric of all rows, apart for either class.
        self._spread = {
            hit: float(own[self._hit == hit].std() * (self._hit == hit).mean())
            for hit in np.unique(self._hit).tolist()
        }

    def part(self, mask: NDArray[np.bool_]) -> _Part:
        inside, outside = np.flatnonzero(mask), np.flatnonzero(~mask)
        value, influence = self._metric(inside)
        rest, of_rest = self._metric(outside)
        both = np.zeros(len(mask))
        both[inside], both[outside] = influence, -of_rest
        smaller = min(inside, outside, key=len)
        true, said, off, label = self._average(inside)
        usual = self._usual(inside)
        return _Part(
            len(inside),
            replace(self._estimate(value, influence, inside, inside, usual), within=self._within),
            # As free as the smaller of the two: it has nearly all of the error.
            self._estimate(
                value - rest, both, None, smaller, math.hypot(usual, self._usual(outside))
            ),
            true,
            said,
            off,
            self._promise(inside, value, influence, usual),
            self._sign,
            label,
        )

    def _promise(
        self, rows: Integers, value: float, influence: Floats, usual: float
    ) -> _Estimate | None:
        """The AUC minus the one to expect if each prediction were the probability of its row."""
        if self._schema.task != "binary":
            return None
        level, chance = self._levels[rows], self._predicted[rows]
        hits, misses = np.bincount(level, weights=chance), np.bincount(level, weights=1 - chance)
        below = np.cumsum(misses) - misses / 2
        promised = float(hits @ below / max(hits.sum() * misses.sum(), _EPSILON))
        return self._estimate(value - promised, influence, rows, rows, usual)

    def _usual(self, rows: Integers) -> float:
        """The standard error of the metric of that many rows, were they like all rows."""
        counts = {hit: np.count_nonzero(self._hit[rows] == hit) for hit in self._spread}
        if not all(counts.values()):
            return 0.0
        return math.sqrt(sum(self._spread[hit] ** 2 / count for hit, count in counts.items()))

    def _average(self, rows: Integers) -> tuple[float, float, _Estimate, str]:
        target, predicted, label = self._target[rows], self._predicted[rows], ""
        if self._schema.task == "multiclass":
            shares = np.eye(len(self._schema.classes))[target.astype(np.int64)]
            number = int(np.abs((shares - predicted).mean(axis=0)).argmax())
            target, predicted = shares[:, number], predicted[:, number]
            label = self._schema.classes[number]
        gap = target - predicted
        off = float(gap.mean())
        right = 0.0
        if self._schema.task != "regression":
            right = math.sqrt(float((predicted * (1 - predicted)).sum())) / len(rows)
        estimate = self._estimate(off, (gap - off) / len(rows), rows, rows, right)
        if label:  # the one class of all that is off most
            estimate = replace(estimate, looks=len(self._schema.classes))
        return float(target.mean()), float(predicted.mean()), estimate, label

    def _metric(self, rows: Integers) -> tuple[float, Floats]:
        """The main metric of these rows, and the influence of each on it; the sum of these over
        independent groups has the metric's variance."""
        if self._schema.task == "binary":
            return self._auc(rows)
        loss = self._loss[rows]
        mean = float(loss.mean())
        influence = (loss - mean) / len(rows)
        if self._schema.task == "multiclass":
            return mean, influence
        root = math.sqrt(mean)
        return root, influence / (2 * root) if root > 0 else influence * 0

    def _auc(self, rows: Integers) -> tuple[float, Floats]:
        hit, level = self._target[rows] == 1, self._levels[rows]
        positives = int(hit.sum())
        others = len(rows) - positives
        if min(positives, others) < _MIN_CLASS:
            return math.nan, np.full(len(rows), math.nan)
        of_hits, of_misses = np.bincount(level[hit]), np.bincount(level[~hit])
        size = max(len(of_hits), len(of_misses))
        of_hits = np.pad(of_hits, (0, size - len(of_hits)))
        of_misses = np.pad(of_misses, (0, size - len(of_misses)))
        below = (np.cumsum(of_misses) - of_misses / 2) / others
        above = 1 - (np.cumsum(of_hits) - of_hits / 2) / positives
        value = float(below[level[hit]].mean())
        influence = np.where(
            hit, (below[level] - value) / positives, (above[level] - value) / others
        )
        return value, influence

    def _estimate(
        self,
        value: float,
        influence: Floats,
        rows: Integers | None,
        free: Integers,
        least: float,
    ) -> _Estimate:
        """From the influences of ``rows`` (None: all); its freedom is that of the rows ``free``,
        its error at ``least`` what is given."""
        groups = self._groups if rows is None else self._groups[rows]
        sums = np.bincount(groups, weights=influence)
        count = int(np.count_nonzero(np.bincount(self._groups[free])))
        if count < 2 or not math.isfinite(value):
            return _Estimate(value, math.nan, 1)
        error = math.sqrt(float((sums**2).sum()) * count / (count - 1))
        return _Estimate(value, max(error, least), count - 1)


def _divide(
    name: str, column: pd.Series, kind: str | None
) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    codes, values = pd.factorize(column)
    number = kind == "numeric" or (kind is None and pd.api.types.is_numeric_dtype(column))
    if number and len(values) > MOST_VALUES:
        yield from _ranges(name, column.to_numpy(dtype=np.float64, na_value=np.nan))
        values = values[:0]
    counts = np.bincount(codes[codes >= 0], minlength=len(values))
    labels = [f"{name} = {_text(value)}" for value in values]
    frequent = sorted(range(len(values)), key=lambda code: (-counts[code], labels[code]))
    for code in frequent[:MOST_VALUES]:
        yield labels[code], codes == code
    if (codes < 0).any():
        yield f"{name} is missing", codes < 0


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _ranges(name: str, values: Floats) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    there = values[np.isfinite(values)]
    edges = np.unique(np.quantile(there, np.arange(1, RANGES) / RANGES))
    number = np.searchsorted(edges, values, side="left")
    number[~np.isfinite(values)] = -1
    last = len(edges)
    for each in range(last + 1):
        low = f"{edges[each - 1]:.4g} < " if each else ""
        high = f" <= {edges[each]:.4g}" if each < last else ""
        label = f"{low}{name}{high}" if high else f"{name} > {edges[-1]:.4g}"
        yield label, number == each


def _discoveries(tails: Floats) -> NDArray[np.bool_]:
    """Which tests noise does not explain (Benjamini and Hochberg), in the order given."""
    count = len(tails)
    order = np.argsort(tails, kind="stable")
    good = np.flatnonzero(tails[order] <= LEVEL * np.arange(1, count + 1) / count)
    passed = np.zeros(count, dtype=bool)
    if len(good):
        passed[order[: good[-1] + 1]] = True
    return passed
