"""Cross-validation's folds: each row is judged by a model that has not seen it.

Nested: what a fold leaves is parted once more, so that early stopping and other choices have
validation rows of their own and never see the rows that judge (Cawley and Talbot, "On over-fitting
in model selection and subsequent selection bias in performance evaluation", 2010).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..config import SplitConfig
from ..data.examples import Examples
from ..errors import UserError
from .guard import guard
from .seeds import stream
from .splits import (
    Rows,
    Split,
    check_parts,
    deal,
    describe,
    duplicates_of,
    group_codes,
    kind_of,
    needed,
    units_of,
)


def folds(
    examples: Examples, rows: Rows, config: SplitConfig, count: int, repeats: int, seed: int
) -> list[Split]:
    """``count`` folds of ``rows``, ``repeats`` times: in each, ``test`` is the fold that judges,
    ``valid`` a share of the rest as in a split by ``config``, ``train`` what remains.

    As a split does, folds keep groups and near-duplicates together and classes in their shares. By
    time the origin rolls: each fold is judged on rows that are later than all it learns from, as
    many in each, and since time has one order there is one repeat. No other rows are read.

    Raises:
        UserError: a part would be empty or of one class.
    """
    schema = examples.schema
    kind = kind_of(schema, config)
    resolved = replace(config, kind=kind)
    duplicates = None
    if kind == "time":
        found = _rolling(examples, rows, config, count)
    else:
        groups = group_codes(examples, kind)
        duplicates = duplicates_of(examples, config, groups, rows)
        units = units_of(len(examples), groups, duplicates)[rows]
        classes = np.zeros(len(rows), dtype=np.int64)
        if schema.task != "regression":
            classes = examples.frame[schema.target].to_numpy()[rows].astype(np.int64)
        what = describe(schema, kind)
        held = config.valid / (1 - config.test)
        found = []
        for repeat in range(repeats):
            random = stream(seed, f"folds {repeat}")
            number = deal(units, classes, [1 / count] * count, random)
            for fold in range(count):
                rest = np.flatnonzero(number != fold)
                random = stream(seed, f"folds {repeat} {fold}")
                part = deal(units[rest], classes[rest], [1 - held, held], random)
                how = f"fold {fold + 1} of {count}, repeat {repeat + 1} of {repeats}, {what}"
                learnt, chosen = (rows[rest[part == each]] for each in (0, 1))
                found.append(Split(learnt, chosen, rows[number == fold], how))
    for each in found:
        try:
            check_parts(examples, each)
        except UserError as error:
            fewer = f"Fewer folds may do: evaluation.folds={max(2, count // 2)}."
            raise UserError(f"{error} {fewer}") from error
        guard(examples, each, resolved, duplicates)
    return found


def _rolling(examples: Examples, rows: Rows, config: SplitConfig, count: int) -> list[Split]:
    """The first half is only learnt from; of the rest, blocks of about as many rows each judge a
    model of all before them."""
    column = examples.frame[needed(examples.schema.time, "time")]
    times = column.to_numpy(dtype=np.float64, na_value=np.nan)[rows]
    rows, times = rows[~np.isnan(times)], times[~np.isnan(times)]
    edges = np.quantile(times, 0.5 + 0.5 * np.arange(count) / count, method="higher")
    if len(np.unique(edges)) < count:
        raise UserError(
            f"{len(rows):,} rows have too few different times for {count} folds. "
            f"Give fewer: evaluation.folds={max(2, count // 2)}."
        )
    found = []
    for number, (begin, end) in enumerate(zip(edges, [*edges[1:], np.inf], strict=True)):
        before = np.flatnonzero(times < begin - config.gap)
        held = config.valid / (1 - config.test)
        chosen = np.quantile(times[before], 1 - held, method="higher") if len(before) else begin
        how = f"fold {number + 1} of {count}, by time: judged from {begin:g}"
        found.append(
            Split(
                rows[times < min(chosen, begin) - config.gap],
                rows[before[times[before] >= chosen]],
                rows[(times >= begin) & (times < end)],
                how,
            )
        )
    return found
