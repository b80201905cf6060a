"""What must hold of a split before anything is learnt from it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..data.contracts import Breach, Report
from ..data.examples import Examples, Schema
from .splits import Split

BOUNDARY = "before training"
_MEND = (
    "Give more rows, another training.split.kind, or other shares of training.split.valid and "
    "training.split.test."
)


def check_parts(examples: Examples, split: Split) -> Report:
    """Find what makes a split useless: no rows, one target value, a row on two sides.

    A class of which train has no row is told of, and stops nothing: it cannot be predicted, which
    the metrics of the other parts will show.

    Takes one byte for each row.
    """
    schema, rows = examples.schema, len(examples.frame)
    target = examples.frame[schema.target].to_numpy()
    breaches = _shared(split, rows)
    counts: dict[str, NDArray[np.int64]] = {}
    for name, part in split.parts().items():
        if len(part) == 0:
            breaches.append(_breach("rows", name, "has no rows"))
        elif part.min() < 0 or part.max() >= rows:
            breaches.append(_breach("rows", name, f"has rows beyond the {rows:,} there are"))
        elif schema.task == "regression":
            values = target[part]
            if values.min() == values.max():
                breaches.append(_breach("values", name, f"{schema.target} is always {values[0]:g}"))
        else:
            codes = target[part].astype(np.int64, copy=False)
            counts[name] = np.bincount(codes, minlength=len(schema.classes))
            breaches += _classes(schema, name, counts[name])
    return Report("split", BOUNDARY, rows, breaches + _unlearnt(schema, counts), _MEND)


def _breach(
    rule: str, part: str, says: str, count: int = 0, examples: tuple[str, ...] = ()
) -> Breach:
    return Breach(rule, part, count, list(examples), "stop", None, says, (part,))


def _shared(split: Split, rows: int) -> list[Breach]:
    """Rows that two parts have, or one part twice."""
    times = np.zeros(rows, dtype=np.uint8)
    for part in split.parts().values():
        inside = part[(part >= 0) & (part < rows)] if len(part) else part
        if len(inside) and not (np.diff(inside) > 0).all():
            inside, again = np.unique(inside, return_counts=True)
            times[inside[again > 1]] += 1
        times[inside] += 1
    shared = np.flatnonzero(times > 1)
    if not len(shared):
        return []
    shown = tuple(
        f"row {row + 1}: in {' and '.join(n for n, p in split.parts().items() if row in p)}"
        for row in shared[:5]
    )
    return [_breach("unique", "train, valid, test", "a row has one place", len(shared), shown)]


def _classes(schema: Schema, part: str, counts: NDArray[np.int64]) -> list[Breach]:
    if np.count_nonzero(counts) >= 2:
        return []
    only = schema.classes[int(counts.argmax())]
    return [_breach("values", part, f"{schema.target} is always '{only}'")]


def _unlearnt(schema: Schema, counts: dict[str, NDArray[np.int64]]) -> list[Breach]:
    """Classes that the other parts ask for and train does not show."""
    if "train" not in counts:
        return []
    total = np.sum(list(counts.values()), axis=0)
    lost = np.flatnonzero((counts["train"] == 0) & (total > 0))
    return [
        Breach(
            "classes",
            schema.target,
            int(total[code]),
            [],
            "warn",
            None,
            f"'{schema.classes[code]}' is nowhere in train, and cannot be learnt",
            (schema.target,),
        )
        for code in lost
    ]
