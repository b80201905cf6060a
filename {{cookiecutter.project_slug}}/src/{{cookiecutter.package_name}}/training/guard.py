"""What a split must keep apart, looked at again when it has been made, however it was made.

A model that has seen a row, or one all but like it, is no longer judged by it but by its memory;
Kapoor and Narayanan, "Leakage and the reproducibility crisis in machine-learning-based science",
2023, count it among the most common faults of published results.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..config import SplitConfig
from ..data.examples import Examples, Schema
from ..errors import UserError
from .duplicates import ALONE, Duplicates, Integers, find_duplicates, fingerprints, has_repeats

if TYPE_CHECKING:
    from .splits import Split

_EXAMPLES = 3
_NAMES = ("train", "valid", "test")


def guard(
    examples: Examples,
    split: Split,
    config: SplitConfig,
    duplicates: Duplicates | None = None,
) -> None:
    """Refuse a split of which one part gives another away.

    No row is in two parts; no key is on two sides; no group either, unless ``schema.recurring``:
    then the model is to meet them again. By time, each part ends before the next begins, by more
    than the gap; what is repeated later is how such data are, so near-duplicates may be. In every
    other split near-duplicates are on one side, unless ``training.split.duplicates`` is ``apart``.

    ``duplicates`` are found anew when None.

    Raises:
        UserError: with the number of cases, some of them, and how to mend it.
    """
    schema, frame = examples.schema, examples.frame
    part = _parts(len(frame), split)
    if schema.key:
        _guard_key(frame, schema, split, part)
    if schema.group is not None and not schema.recurring:
        codes, values = pd.factorize(frame[schema.group])
        if found := _crossing(codes, part):
            group = _shown(schema.group)
            raise UserError(
                f"{_where(split)}: {_some(found, codes, part, f'values of {group}', values)}. "
                f"A model that has learnt from some rows of one {group} is no stranger to the "
                "others. Keep them on one side with training.split.kind=group, or say "
                "data.recurring=true where the same ones are met again when the model is used."
            )
    by_time = config.kind == "time" or (config.kind == "auto" and schema.time is not None)
    if by_time:
        assert schema.time is not None
        _guard_time(frame[schema.time], _shown(schema.time), split, config.gap)
    elif config.duplicates == "together":
        if duplicates is None:
            duplicates = find_duplicates(frame, schema)
        if duplicates.rows and (found := _crossing(duplicates.lump, part)):
            raise UserError(
                f"{_where(split)}: {_some(found, duplicates.lump, part, 'near-duplicate rows')}. "
                "All their features are equal to three digits, so the model is asked what it has "
                "been told. Give training.split.duplicates=together and, where they are rows of "
                "one customer or patient, data.group=COLUMN; or training.split.duplicates=apart "
                "where such rows are met again when the model is used."
            )


def _parts(count: int, split: Split) -> NDArray[np.int8]:
    """For each row the number of its part, or :data:`ALONE`."""
    part = np.full(count, ALONE, dtype=np.int8)
    for number, rows in enumerate(split.parts().values()):
        twice = rows[part[rows] != ALONE]
        if len(twice) == 0 and (np.diff(rows) <= 0).any():
            ordered = np.sort(rows)
            twice = ordered[1:][ordered[1:] == ordered[:-1]]
        if len(twice):
            some = ", ".join(map(str, twice[:_EXAMPLES]))
            raise UserError(
                f"{_where(split)}: {len(twice):,} rows are in it twice, such as rows {some}. "
                "Each row belongs to one of train, valid and test."
            )
        part[rows] = number
    return part


def _guard_key(frame: pd.DataFrame, schema: Schema, split: Split, part: NDArray[np.int8]) -> None:
    if len(schema.key) == 1 and frame[schema.key[0]].is_monotonic_increasing:
        values = frame[schema.key[0]].to_numpy()
        if (values[1:] != values[:-1]).all():
            return  # as in a table: rows by their number
    hashes = fingerprints(frame, schema.key, np.arange(len(frame)), exact=True)
    if not has_repeats(hashes):
        return
    codes = np.asarray(pd.factorize(hashes)[0])
    if found := _crossing(codes, part):
        key = ", ".join(map(_shown, schema.key))
        raise UserError(
            f"{_where(split)}: {_some(found, codes, part, f'values of the key ({key})')}. A key "
            "identifies a row. Remove the repeated rows, or give data.group=COLUMN with the "
            "column whose rows belong together."
        )


def _guard_time(column: pd.Series, name: str, split: Split, gap: float) -> None:
    times = column.to_numpy(dtype=np.float64, na_value=np.nan)
    parts = [(which, rows) for which, rows in split.parts().items() if len(rows)]
    for which, rows in parts:
        if np.isnan(times[rows]).any():
            some = ", ".join(map(str, rows[np.isnan(times[rows])][:_EXAMPLES]))
            raise UserError(
                f"{_where(split)}: rows of its {which} part have no {name}, such as rows {some}. "
                "A split by time has no place for them: leave them out, or fill them."
            )
    for (early, before), (late, after) in pairwise(parts):
        begins = float(times[after].min())
        wrong = before[times[before] + gap >= begins] if gap else before[times[before] >= begins]
        if len(wrong):
            some = ", ".join(f"row {row} ({times[row]:g})" for row in wrong[:_EXAMPLES])
            within = f" less than the gap of {gap:g} before" if gap else " not before"
            first = after[int(times[after].argmin())]
            raise UserError(
                f"{_where(split)}: {len(wrong):,} rows of the {early} part have a {name}{within} "
                f"the first of the {late} part, row {first} ({begins:g}), such as {some}. "
                "Split with training.split.kind=time."
            )


def _crossing(codes: Integers, part: NDArray[np.int8]) -> list[int]:
    """The codes that are in more than one part; those below 0 stand for nothing."""
    used = (part != ALONE) & (codes >= 0)
    if not used.any():
        return []
    seen = np.zeros((3, int(codes.max()) + 1), dtype=bool)
    seen[part[used], codes[used]] = True
    found: list[int] = np.flatnonzero(seen.sum(axis=0) > 1).tolist()
    return found


def _some(
    found: list[int],
    codes: Integers,
    part: NDArray[np.int8],
    what: str,
    values: pd.Index | None = None,
) -> str:
    """How many are on more than one side, and where the first few are."""
    cases = []
    for code in found[:_EXAMPLES]:
        rows = np.flatnonzero((codes == code) & (part != ALONE))
        sides = []
        for number, name in enumerate(_NAMES):
            of_part = rows[part[rows] == number]
            if len(of_part):
                shown = ", ".join(map(str, of_part[:_EXAMPLES]))
                more = ", …" if len(of_part) > _EXAMPLES else ""
                sides.append(f"{name} row{'s' * (len(of_part) > 1)} {shown}{more}")
        value = f"{values[code]} in " if values is not None else ""
        cases.append(value + " and ".join(sides))
    lots = f"{len(found):,} lots of {what}" if values is None else f"{len(found):,} {what}"
    return f"{lots} are on more than one side, such as {'; '.join(cases)}"


def _where(split: Split) -> str:
    return f"the split ({split.how})"


def _shown(column: str) -> str:
    return column.removeprefix("#")
