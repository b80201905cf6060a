"""The outcome of an evaluation as text for a terminal."""

from __future__ import annotations

from collections.abc import Mapping

from .comparison import Difference
from .evaluate import BASELINE, Evaluation, Part
from .metrics import number, span, title

WIDTH = 100


def outcome(found: Evaluation, part: Part, name: str) -> list[str]:
    """For each metric of the model ``name``: its value and 95 % interval, and for each other model
    its value, the interval of the difference, and the verdict. Lines of at most 100 characters."""
    scores, own = found.scores[part], found.intervals.get(part, {}).get(name, {})
    compared = found.differences.get(part, {})
    if BASELINE not in compared:  # it is the baseline itself
        lines = [f"{part:<20}{name:>11}  95 % interval"]
        for metric, value in scores[name].items():
            lines.append(f"{title(metric):<20}{number(value):>11}  {span(own.get(metric))}")
    else:
        lines = [f"{part:<20}{name:>11}  {'95 % interval':<20}{_heading(BASELINE)}"]
        for metric, value in scores[name].items():
            start = f"{title(metric):<20}{number(value):>11}  {span(own.get(metric)):<20}"
            lines.append(start + _against(metric, scores[BASELINE], compared[BASELINE]))
    for other, differences in compared.items():
        if other != BASELINE:
            lines.append(f"against {other}"[:53].ljust(53) + _heading(""))
            for metric in differences:
                values = scores.get(other) or {
                    metric: scores[name][metric] - differences[metric].value
                }
                lines.append(f"{title(metric):<53}" + _against(metric, values, differences))
    return [line[:WIDTH].rstrip() for line in lines]


def _heading(other: str) -> str:
    return f"{other:>12}  {'difference, 95 %':<22}verdict"


def _against(
    metric: str, values: Mapping[str, float], differences: Mapping[str, Difference]
) -> str:
    if metric not in values or metric not in differences:
        return ""
    by = differences[metric]
    return f"{number(values[metric]):>12}  {span(by.interval, signed=True):<22}{by.verdict}"
