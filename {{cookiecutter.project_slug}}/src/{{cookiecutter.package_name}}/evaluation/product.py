"""What a ranking is for: clicks per thousand impressions, if the model had ordered the lists.

Nobody saw the lists in the model's order, so its clicks are estimated from the log. A click needs a
look at the place and an item worth it, and only the look depends on the place (the position-based
model: Craswell, Zoeter, Taylor and Ramsey, "An experimental comparison of click position-bias
models", 2008). So a logged click counts as often as its new place is looked at more than its old
one (inverse propensities: Joachims, Swaminathan and Schnabel, "Unbiased learning-to-rank with
biased feedback", 2017; for clicks in new orders Li, Abbasi-Yadkori, Kveton, Muthukrishnan, Vinay
and Wen, "Offline evaluation of ranking policies with click models", 2018).

How much each place is looked at is estimated from the training rows: clicks there over those that
its rows would get anywhere. It may differ between rows that are hardly and rows that are surely
clicked, so it is estimated apart for :data:`STRATA` of the model's own prediction (propensities in
context: Fang, Agarwal and Joachims, "Intervention harvesting for context-dependent examination-bias
estimation", 2019). All that is right where the order of a list did not depend on who looked, as in
the simulated shop; where a recommender made the logged order, its first places look better than
they are. The error of the estimate itself is part of the interval.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..data.examples import Schema
from .intervals import Resamples, resample
from .metrics import Floats, Integers

METRIC = "clicks_per_mille"
STRATA = 4
# In clicks: as if seen that often, a place is an average one, and all strata are alike.
_PRIOR, _PRIOR_OF_STRATA = 2.0, 100.0
_ROUNDS = 20


@dataclass(frozen=True)
class Attention:
    """How much each place is looked at, compared with the other places of its stratum."""

    edges: Floats  # of relevance, between the strata
    places: Floats  # of shape (strata, places)
    resampled: Floats  # of shape (resamples, strata, places)

    def cells(self, place: Integers, relevance: Floats) -> tuple[Integers, Integers]:
        """Where in ``places`` rows lie."""
        most = self.places.shape[1] - 1
        return np.searchsorted(self.edges, relevance, side="right"), np.minimum(place, most)


def attention(
    frame: pd.DataFrame,
    relevance: Floats,
    item: Floats,
    schema: Schema,
    random: np.random.Generator,
    resamples: int,
) -> Attention:
    """The attention to each place in the logged rows of ``frame``.

    Args:
        relevance: the probability of a click as the model sees it, whatever the place.
        item: tells items apart, such as the prediction of the baseline: items that are popular may
            have been shown in other places than the rest, which must not count for the places.
    """
    clicks = frame[schema.target].to_numpy(dtype=np.float64)
    place = frame[schema.position].to_numpy(dtype=np.int64)
    order = np.argsort(relevance, kind="stable")
    share = np.cumsum(clicks[order]) / max(clicks.sum(), 1)  # strata of equally many clicks
    cuts = np.searchsorted(share, np.arange(1, STRATA) / STRATA)
    edges = np.unique(relevance[order][np.minimum(cuts, len(order) - 1)])
    edges = edges[edges > relevance[order[0]]]  # below it there would be nothing
    count = int(place.max()) + 1
    stratum = np.searchsorted(edges, relevance, side="right")
    shape = (len(edges) + 1, count)
    kind = np.unique(item, return_inverse=True)[1]
    clicks_of_kind = np.bincount(kind, weights=clicks)
    cell = stratum * count + place

    def by_cell(values: Floats) -> Floats:
        found = np.bincount(cell, weights=values, minlength=math.prod(shape))
        return found.reshape(shape).astype(np.float64)

    seen = np.ones(shape)
    expected = relevance
    for _ in range(_ROUNDS):  # the Poisson likelihood, maximised for items and places in turn
        looks = np.bincount(kind, weights=relevance * seen.ravel()[cell])
        expected = (clicks_of_kind / looks)[kind] * relevance
        seen = _shrunk(by_cell(clicks), by_cell(expected))
    drawn = resample(frame, schema, random, resamples)
    if drawn is None:
        return Attention(edges, seen, np.tile(seen, (resamples, 1, 1)))
    units = drawn.weights.shape[1]
    unit_cell = drawn.unit * math.prod(shape) + cell
    sums = [
        drawn.weights
        @ np.bincount(unit_cell, weights=values, minlength=units * math.prod(shape)).reshape(
            units, math.prod(shape)
        )
        for values in (clicks, expected)
    ]
    both = [each.reshape(len(each), *shape) for each in sums]
    return Attention(edges, seen, _shrunk(both[0], both[1]))


def _shrunk(clicks: Floats, expected: Floats) -> Floats:
    """Clicks over expected ones, as a share of the average place of the stratum: what few clicks
    say is drawn towards what all strata together say, and that towards no difference."""

    total, usual = (each.sum(axis=-1, keepdims=True) for each in (clicks, expected))
    clicks = clicks * np.divide(usual, total, out=np.ones_like(total), where=total > 0)
    of_all = [each.sum(axis=-2, keepdims=True) + _PRIOR for each in (clicks, expected)]
    together = of_all[0] / of_all[1]
    return np.asarray((clicks + _PRIOR_OF_STRATA * together) / (expected + _PRIOR_OF_STRATA))


class Product:
    """Clicks per thousand impressions of orders of the rows of ``frame``, were the first ``k``
    places of each list filled by them. All orders are judged on the same resamples."""

    def __init__(
        self,
        frame: pd.DataFrame,
        relevance: Floats,
        schema: Schema,
        seen: Attention,
        drawn: Resamples | None,
        k: int,
    ) -> None:
        self._k, self._seen, self._drawn = k, seen, drawn
        self._list = np.unique(frame[schema.ranking].to_numpy(), return_inverse=True)[1]
        place = frame[schema.position].to_numpy(dtype=np.int64)
        self._stratum, self._place = seen.cells(place, relevance)
        self._clicked = frame[schema.target].to_numpy() == 1
        self.logged = -place.astype(np.float64)  # scores: the order as it was shown
        order = np.lexsort((place, self._list))
        # List by list: the rank in the list, and the place that this rank has.
        starts = np.searchsorted(self._list[order], np.arange(self._list.max() + 1))
        self._rank = np.arange(len(order)) - starts[self._list[order]]
        self._slot = self._place[order]
        self._shown = np.empty(len(order))
        self._shown[order] = self._rank < k

    def judge(self, scores: Floats) -> tuple[float, Floats | None]:
        """The metric of the order by falling ``scores``, and its value in each resample.

        Rows of equal score share the places that they fill.
        """
        order = np.lexsort((-scores, self._list))
        lists, sorted_scores = self._list[order], scores[order]
        new = (np.diff(lists, prepend=-1) != 0) | (np.diff(sorted_scores, prepend=np.nan) != 0)
        tie = np.cumsum(new) - 1
        size, first = np.bincount(tie), np.flatnonzero(new)
        # For each click the places that its tie fills within the first k, one entry each.
        clicked = np.flatnonzero(self._clicked[order])
        within = np.clip(self._k - self._rank[first], 0, size)[tie[clicked]]
        click = np.repeat(np.arange(len(clicked)), within)
        step = np.arange(len(click)) - np.repeat(np.cumsum(within) - within, within)
        slot = self._slot[first[tie[clicked]][click] + step]
        row = order[clicked]
        stratum, before = self._stratum[row], self._place[row]
        share = 1 / size[tie[clicked]][click]

        def clicks(seen: Floats) -> Floats:
            now = np.bincount(click, share * seen[stratum[click], slot], len(row))
            return np.asarray(now / seen[stratum, before])

        value = 1000 * clicks(self._seen.places).sum() / self._shown.sum()
        if self._drawn is None:
            return float(value), None
        drawn = self._drawn
        shown = drawn.sums(self._shown)
        found = np.empty(len(drawn.weights))
        for number, (weights, seen) in enumerate(
            zip(drawn.weights, self._seen.resampled, strict=True)
        ):
            found[number] = 1000 * (weights[drawn.unit[row]] @ clicks(seen)) / (weights @ shown)
        return float(value), found


def unplaced(frame: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """``frame`` with every row in the first place: what a model is asked when it orders a list,
    as nothing has a place yet. Only if the place is a feature is there anything to change."""
    if schema.position not in schema.features:
        return frame
    return frame.assign(**{str(schema.position): frame[schema.position] * 0})


def measurable(schema: Schema) -> bool:
    """Whether the rows say what this metric needs: lists, and the places of their rows."""
    return schema.task == "binary" and schema.ranking is not None and schema.position is not None


__all__ = ["METRIC", "Attention", "Product", "attention", "measurable", "unplaced"]
