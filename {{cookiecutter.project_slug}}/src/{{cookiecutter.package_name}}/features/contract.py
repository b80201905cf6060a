"""What must hold of examples: of any by their schema, and of the shop's by a contract in Python."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

from ..data.contracts import Breach, ColumnRule, Contract, Report, RowRule, check
from ..data.examples import Examples, Schema

BOUNDARY = "after features"
_EXAMPLES = 5
_MEND = (
    "Mend the feature (src/*/features/) or its table: what a model is given here decides what it "
    "learns."
)
_RATE = ColumnRule("number", nullable=False, minimum=0, maximum=1)
_COUNT = ColumnRule("number", nullable=False, minimum=0)
_TEXT = ColumnRule("text", nullable=False)

# By name, so that it holds for whatever features are chosen.
SHOP_COLUMNS = {
    "user": ColumnRule("integer", nullable=False, minimum=0),
    "visit": ColumnRule("integer", nullable=False, minimum=0),
    "position": ColumnRule("integer", nullable=False, minimum=0),
    "slate": ColumnRule("integer", nullable=False),
    "day": ColumnRule("integer", nullable=False, minimum=0),
    "item": ColumnRule("integer", nullable=False, minimum=0),
    "click": ColumnRule("integer", nullable=False, values=["0", "1"]),
    "price": ColumnRule("number", nullable=False, minimum=1),
    "discount": ColumnRule("number", nullable=False, minimum=0, maximum=1),
    "relative_price": ColumnRule("number", nullable=False, minimum=0),
    "hour": ColumnRule("number", nullable=False, minimum=0, maximum=23),
    "weekday": ColumnRule("number", nullable=False, minimum=0, maximum=6),
    "device": _TEXT,
    "segment": _TEXT,
    "category": _TEXT,
    "tenure_days": _COUNT,
    "user_shown": _COUNT,
    "user_rate": _RATE,
    "user_price_ratio": ColumnRule("number", minimum=0),  # missing before the first click
    "user_days_since": ColumnRule("number", minimum=0),  # missing on the first visit
    "taste_shown": _COUNT,
    "taste_rate": _RATE,
    "taste_lift": ColumnRule("number", nullable=False, minimum=0),
    "item_shown": _COUNT,
    "item_rate": _RATE,
}
SHOP_RULE = RowRule("a category is part of all", "taste_shown <= user_shown")


def shop_contract(schema: Schema, columns: Sequence[str]) -> Contract:
    """The contract of the shop's examples with ``columns``; see docs/contracts.md."""
    both = {"taste_shown", "user_shown"} <= set(columns)
    kinds = {"numeric": ColumnRule("number"), "categorical": ColumnRule("text")}
    return Contract(
        "the shop's examples",
        {
            name: SHOP_COLUMNS.get(name) or kinds[schema.features[name]]  # a feature of your own
            for name in columns
        },
        unique=[schema.key],
        rules=[SHOP_RULE] if both else [],
    )


def check_examples(examples: Examples, contract: Contract | None = None) -> Report:
    """Find what a model would stumble over, or silently learn nonsense from.

    Every feature is there and of its kind; numbers are finite or missing; the target is never
    missing, is one of the classes, and no feature; rows are in the order of their key, which names
    each of them; what splits and ranks has no gaps. With a ``contract``, that as well.

    Takes memory for one column at a time, and time for about one look at each.
    """
    frame, schema = examples.frame, examples.schema
    breaches: list[Breach] = []
    for name, kind in schema.features.items():
        if name not in frame:
            breaches.append(_breach("columns", name, "is missing"))
        elif kind == "numeric":
            breaches += _numeric(frame[name])
        elif not _is_text(frame[name]):
            breaches.append(_breach("type", name, f"is {frame[name].dtype}, not text"))
    breaches += _target(frame, schema)
    breaches += _key(frame, schema.key)
    for name in dict.fromkeys(filter(None, (schema.time, schema.group, schema.ranking))):
        if name not in frame:
            breaches.append(_breach("columns", name, "is missing"))
        else:
            breaches += _where("nullable", frame[name], frame[name].isna().to_numpy(), "is missing")
    if contract is not None:
        breaches += _by_contract(frame, contract)
    return Report("examples", BOUNDARY, len(frame), breaches, _MEND)


def _breach(
    rule: str, column: str, says: str, count: int = 0, examples: Sequence[str] = ()
) -> Breach:
    return Breach(rule, column, count, list(examples), "stop", None, says, (column,))


def _where(rule: str, column: pd.Series, broken: NDArray[np.bool_], says: str) -> list[Breach]:
    count = int(np.count_nonzero(broken))
    if not count:
        return []
    rows = np.flatnonzero(broken)[:_EXAMPLES]
    shown = [f"row {row + 1}: {column.name}={column.iloc[row]}" for row in rows]
    return [_breach(rule, str(column.name), says, count, shown)]


def _numeric(column: pd.Series) -> list[Breach]:
    if not types.is_numeric_dtype(column):
        return [_breach("type", str(column.name), f"is {column.dtype}, no number")]
    if not types.is_float_dtype(column):
        return []
    return _where("finite", column, np.isinf(_numbers(column)), "is infinite")


def _numbers(column: pd.Series) -> NDArray[np.float64]:
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def _is_text(column: pd.Series) -> bool:
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = pd.Series(column.cat.categories)
    if column.dtype == object:
        return types.infer_dtype(column, skipna=True) in ("string", "empty")
    return types.is_string_dtype(column)


def _target(frame: pd.DataFrame, schema: Schema) -> list[Breach]:
    name = schema.target
    if name in schema.features:
        return [_breach("columns", name, "is the target, and a feature as well")]
    if name not in frame:
        return [_breach("columns", name, "is missing")]
    target = frame[name]
    if not types.is_numeric_dtype(target):
        return [_breach("type", name, f"is {target.dtype}; a target is codes or numbers")]
    if target.hasnans or schema.task == "regression":
        values = _numbers(target)
        found = _where("nullable", target, np.isnan(values), "is missing")
        return found + _where("finite", target, np.isinf(values), "is infinite")
    codes, most = target.to_numpy(), len(schema.classes) - 1
    wrong = (codes < 0) | (codes > most)
    if types.is_float_dtype(target):
        wrong |= codes != np.floor(codes)
    return _where("values", target, wrong, f"no code of a class, 0 to {most}")


def _key(frame: pd.DataFrame, key: list[str]) -> list[Breach]:
    """Rows that do not come after the one before them: the key repeats, or the order is lost."""
    if lost := [name for name in key if name not in frame]:
        return [_breach("columns", name, "is missing") for name in lost]
    if not key or len(frame) < 2:
        return []
    same = np.ones(len(frame) - 1, dtype=bool)
    back = np.zeros(len(frame) - 1, dtype=bool)
    for name in key:
        values = frame[name].to_numpy()
        back |= same & ~(values[1:] >= values[:-1])  # not <: a missing one is in no order
        same &= values[1:] == values[:-1]
    names, found = ", ".join(key), []
    for rule, wrong, says in (
        ("unique", same, "is that of the row before"),
        ("order", back, "comes before that of the row before"),
    ):
        if count := int(np.count_nonzero(wrong)):
            rows = np.flatnonzero(wrong)[:_EXAMPLES] + 1
            shown = [
                f"row {row + 1}: {', '.join(f'{name}={frame[name].iloc[row]}' for name in key)}"
                for row in rows
            ]
            found.append(Breach(rule, names, count, shown, "stop", None, says, tuple(key)))
    return found


def _by_contract(frame: pd.DataFrame, contract: Contract) -> list[Breach]:
    import duckdb

    with duckdb.connect() as con:
        con.register("examples", frame)
        return check(con, "examples", contract, BOUNDARY).breaches
