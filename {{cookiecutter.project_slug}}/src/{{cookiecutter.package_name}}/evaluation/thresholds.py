"""From which probability on to act, by what wrong decisions cost.

The threshold is the one that costs least on the validation rows; what it costs is measured on other
rows, beside the threshold 0.5 and beside acting always or never. For probabilities that are right
the best threshold would be the cost of a false positive over that of both (Elkan, "The foundations
of cost-sensitive learning", 2001).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..config import CostsConfig
from .comparison import Difference, difference
from .intervals import Resamples
from .metrics import Floats, Integers, Interval, number, span

CHOSEN, HALF, ALWAYS, NEVER = "chosen", "0.5", "always", "never"


@dataclass(frozen=True)
class Decision:
    """What deciding by a threshold costs a row.

    ``cost`` and ``interval`` (95 %) are by rule: :data:`CHOSEN`, :data:`HALF`, :data:`ALWAYS` and
    :data:`NEVER`; ``differences`` are of the chosen threshold minus each other rule.
    """

    threshold: float  # act where the prediction is as high or higher; above 1: never
    ideal: float  # for probabilities that are right
    cost: dict[str, float]
    interval: dict[str, Interval]
    differences: dict[str, Difference]
    curve: tuple[Floats, Floats]  # thresholds, and the cost of a row with each

    def to_dict(self) -> dict[str, Any]:
        """All but the curve, as plain values."""
        return {name: each for name, each in asdict(self).items() if name != "curve"}

    def table(self) -> pd.DataFrame:
        """A row a rule, to show."""
        lines = {
            rule: {
                "cost of a row": number(cost),
                "95 %": span(self.interval.get(rule)),
                "chosen, compared": getattr(self.differences.get(rule), "verdict", ""),
            }
            for rule, cost in self.cost.items()
        }
        named = {CHOSEN: f"from {self.threshold:.4f} on", HALF: "from 0.5 on"}
        return pd.DataFrame(lines).T.rename(index=named)

    def sentence(self) -> str:
        """The decision for a person, in Markdown."""
        simple = min((rule for rule in self.cost if rule != CHOSEN), key=self.cost.__getitem__)
        verdict = self.differences[simple].verdict
        named = {HALF: "acting from 0.5 on", ALWAYS: "always acting", NEVER: "never acting"}
        return (
            f"Acting from **{self.threshold:.4f}** on costs {number(self.cost[CHOSEN])} a row; "
            f"that is **{verdict}** than {named[simple]}, at {number(self.cost[simple])}."
        )


def choose(target: Integers, predicted: Floats, costs: CostsConfig) -> float:
    """The threshold of least cost on these rows: act where the prediction is as high or higher.

    Of equally good ones, the one that is nearest to the ideal one. Above 1: never act.
    """
    values, cost = curve(target, predicted, costs)
    best = values[cost <= cost.min() + 1e-12]
    return float(best[np.abs(best - ideal(costs)).argmin()])


def curve(target: Integers, predicted: Floats, costs: CostsConfig) -> tuple[Floats, Floats]:
    """The thresholds that part these rows in different ways, rising, and the cost of a row with
    each; they lie halfway between two predictions, and the first and last part nothing."""
    levels, level = np.unique(predicted, return_inverse=True)
    positives = np.bincount(level, weights=target, minlength=len(levels))
    others = np.bincount(level, minlength=len(levels)) - positives
    missed = np.concatenate([[0.0], np.cumsum(positives)])  # those below the threshold
    alarms = others.sum() - np.concatenate([[0.0], np.cumsum(others)])
    cost = (costs.false_negative * missed + costs.false_positive * alarms) / len(target)
    halfway = (levels[1:] + levels[:-1]) / 2
    # Halfway between neighbouring floats may round down to the lower one.
    halfway = np.where(halfway > levels[:-1], halfway, levels[1:])
    return np.concatenate([[0.0], halfway, [np.nextafter(1.0, 2.0)]]), cost


def ideal(costs: CostsConfig) -> float:
    return costs.false_positive / (costs.false_positive + costs.false_negative)


def decide(
    threshold: float,
    target: Integers,
    predicted: Floats,
    costs: CostsConfig,
    drawn: Resamples | None,
) -> Decision:
    """What ``threshold`` costs on these rows, compared with simpler rules on the same resamples."""
    acts: dict[str, NDArray[np.bool_]] = {
        CHOSEN: predicted >= threshold,
        HALF: predicted >= 0.5,
        ALWAYS: np.ones(len(target), dtype=bool),
        NEVER: np.zeros(len(target), dtype=bool),
    }
    cost, interval, values = {}, {}, {}
    differences: dict[str, Difference] = {}
    for rule, act in acts.items():
        each = np.where(
            act, costs.false_positive * (target == 0), costs.false_negative * (target == 1)
        )
        cost[rule] = float(each.mean())
        if drawn is not None:
            values[rule] = drawn.mean(each)
            if bounds := drawn.bounds("cost", values[rule], cost[rule]):
                interval[rule] = bounds
    for rule in list(acts)[1:]:
        pair = (values[CHOSEN], values[rule]) if drawn is not None else None
        differences[rule] = difference("cost", (cost[CHOSEN], cost[rule]), pair, drawn)
    seen = curve(target, predicted, costs)
    return Decision(threshold, ideal(costs), cost, interval, differences, seen)
