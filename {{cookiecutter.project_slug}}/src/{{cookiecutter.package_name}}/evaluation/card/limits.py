"""What a reader must know before relying on a model: statements that follow from its numbers.

Each is a function of plain numbers that returns what to say, and nothing where all is well.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence

from ..comparison import Difference
from ..metrics import title

FEW_ROWS = 1000
FEW_OF_CLASS = 50
MUCH_MISSING = 0.3
OLD_DAYS = 90
MANY_LOOKS = 3
MOST_NAMED = 5


def of_verdict(metric: str, found: Difference | None) -> list[str]:
    """The model must beat its baseline, and be known to."""
    if found is None or found.verdict == "better":
        return []
    if found.verdict == "worse":
        return [f"It is worse than the baseline in {title(metric)}. Do not use it."]
    return [
        f"It is not shown to be better than the baseline: the interval of the difference in "
        f"{title(metric)} includes 0. The baseline is simpler: prefer it, or judge on more rows."
    ]


def of_size(rows: int) -> list[str]:
    if rows >= FEW_ROWS:
        return []
    return [
        f"It is judged on {rows:,} test rows only: small differences, and what happens in rare "
        "cases, cannot be seen."
    ]


def of_width(
    metric: str, interval: tuple[float, float] | None, found: Difference | None
) -> list[str]:
    """An interval that is as wide as what the model gains says little of how good it is."""
    if interval is None:
        return [f"There is no interval for {title(metric)}: the test rows are of one group."]
    width = interval[1] - interval[0]
    if found is None or found.verdict != "better" or width <= abs(found.value):
        return []
    return [
        f"{title(metric)} is known to within {width:.3g} only, more than the model gains over the "
        f"baseline ({abs(found.value):.3g})."
    ]


def of_classes(counts: Mapping[str, int]) -> list[str]:
    """Classes with few test rows; ``counts`` is empty for a regression."""
    rare = sorted((name for name in counts if counts[name] < FEW_OF_CLASS), key=counts.__getitem__)
    if not rare:
        return []
    named = _some([f"{name} ({counts[name]:,})" for name in rare])
    return [f"Few test rows are of class {named}: how well it does there is hardly known."]


def of_slices(found: Sequence[str]) -> list[str]:
    """Slices of the rows in which the model is off, more than by chance."""
    if not found:
        return []
    return [f"It is off where {_some(list(found))}: see the slices before using it there."]


def of_missing(shares: Mapping[str, float]) -> list[str]:
    """Features of which much is missing, by name with the share."""
    much = sorted((n for n in shares if shares[n] > MUCH_MISSING), key=lambda n: -shares[n])
    if not much:
        return []
    named = _some([f"{name} ({shares[name]:.0%})" for name in much])
    return [f"Much is missing of {named}: what that stands for may change with who collects it."]


def of_age(newest: datetime.date | None, today: datetime.date, has_time: bool = True) -> list[str]:
    """How long ago the newest row was, where that is known."""
    if not has_time:
        return [
            "The rows have no time: nobody knows how old they are, nor whether the world moved."
        ]
    if newest is None:
        return []
    days = (today - newest).days
    if days <= OLD_DAYS:
        return []
    return [
        f"The newest row is of {newest:%Y-%m-%d}, {days:,} days before this card: judge the model "
        "on newer rows before using it."
    ]


def of_split(is_by_time: bool, has_time: bool) -> list[str]:
    if is_by_time or not has_time:
        return []
    return [
        "Rows have a time, but the split does not go by it: tomorrow may be harder than these test "
        "rows."
    ]


def of_looks(uses: int | None) -> list[str]:
    """How often these test rows have judged a model; None where that is not known."""
    if uses is None or uses < MANY_LOOKS:
        return []
    return [
        f"These test rows have been looked at {uses:,} times. The more often one chooses by them, "
        "the more they flatter: confirm on rows that nobody has seen."
    ]


def of_set_aside(rows_read: int, rows: int) -> list[str]:
    """Rows that took no part, as a share of those that were read."""
    if rows_read <= 0 or rows >= rows_read * 0.95:
        return []
    return [
        f"{rows_read - rows:,} of {rows_read:,} rows read took no part: it is judged on the rest, "
        "and meets them all in use."
    ]


def of_code(dirty: bool, has_commit: bool) -> list[str]:
    if not has_commit:
        return ["The code is in no commit, so that nobody can be sure to have the same."]
    if dirty:
        return ["Made with changes that were not committed; they are kept as a patch in the run."]
    return []


def _some(names: list[str]) -> str:
    rest = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")
