"""Whether one model is better than another: said only when the interval of the difference says so.

Both models are judged on the same resamples of the same rows, so that what makes all rows hard or
easy cancels out (the paired bootstrap: Efron and Tibshirani, "An introduction to the bootstrap",
1993; for ranked lists Sakai, "Evaluating evaluation metrics based on the bootstrap", 2006).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from .intervals import Resamples
from .metrics import LOWER_IS_BETTER, Floats, number, span, title

Verdict = Literal["better", "worse", "no better"]


@dataclass(frozen=True)
class Difference:
    """A metric of a model minus that of another on the same rows, with its 95 % interval.

    ``low`` and ``high`` are None where the rows do not allow an interval. The verdict is about the
    model: ``better`` or ``worse`` only if the interval leaves out 0, else ``no better``.
    """

    value: float
    low: float | None
    high: float | None
    verdict: Verdict

    @property
    def interval(self) -> tuple[float, float] | None:
        return None if self.low is None or self.high is None else (self.low, self.high)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def difference(
    metric: str,
    itself: tuple[float, float],
    resampled: tuple[Floats, Floats] | None,
    drawn: Resamples | None,
) -> Difference:
    """Compare two models by ``metric``: its two values on the rows, and those in each resample.

    Without resamples nothing can be said, and the verdict is ``no better``.
    """
    value = itself[0] - itself[1]
    bounds = None
    if drawn is not None and resampled is not None:
        bounds = drawn.bounds(metric, resampled[0] - resampled[1], value, difference=True)
    if bounds is None:
        return Difference(value, None, None, "no better")
    return Difference(value, *bounds, verdict(metric, bounds))


def differences(
    itself: tuple[Mapping[str, float], Mapping[str, float]],
    resampled: tuple[Mapping[str, Floats], Mapping[str, Floats]],
    drawn: Resamples | None,
) -> dict[str, Difference]:
    """:func:`difference` for every metric that both models have."""
    found = {}
    for metric in itself[0]:
        if metric in itself[1]:
            both = all(metric in values for values in resampled)
            found[metric] = difference(
                metric,
                (itself[0][metric], itself[1][metric]),
                (resampled[0][metric], resampled[1][metric]) if both else None,
                drawn,
            )
    return found


def verdict(metric: str, bounds: tuple[float, float]) -> Verdict:
    """What the interval ``bounds`` of a difference in ``metric`` allows to say."""
    low, high = bounds
    if low <= 0 <= high:
        return "no better"
    return "better" if (high < 0) == (metric in LOWER_IS_BETTER) else "worse"


def sentence(
    metric: str, name: str, other: str, values: tuple[float, float], by: Difference
) -> str:
    """The comparison for a person, in Markdown.

    >>> sentence("rmse", "linear", "the baseline", (2.0, 3.0), Difference(-1, -2, 0.5, "no better"))
    '**linear** is **no better** than the baseline: RMSE 2.0000 against 3.0000, difference -1.0000 \
(95 % -2.0000 to +0.5000).'
    """
    within = f" (95 % {span(by.interval, signed=True)})" if by.interval else ""
    return (
        f"**{name}** is **{by.verdict}** than {other}: {title(metric)} {number(values[0])} "
        f"against {number(values[1])}, difference {number(by.value, signed=True)}{within}."
    )
