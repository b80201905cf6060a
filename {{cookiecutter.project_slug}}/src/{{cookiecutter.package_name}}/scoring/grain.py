"""Declared features at their grain: what is the same for many rows is computed once.

A row to be scored is a user and an item. Most features are of one of them alone, or of the user and
the item's category, and an expression is asked which by the columns it names. So the expressions of
``features/shop.py``, the ones a model learnt from, are computed for as many rows as there are users
or items, and not for their product.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import ibis
import ibis.expr.operations as ops
import pyarrow as pa

from ..errors import UserError, nearest
from ..features.declared import Feature

Grain = Literal["moment", "user", "item", "taste", "pair"]

# The columns that expressions may name, by where they are known.
COLUMNS: dict[Grain, tuple[str, ...]] = {
    "moment": ("time", "day", "position"),
    "user": (
        "user", "segment", "joined_day", "device",
        "user_shown", "user_clicks", "user_clicked_ratio", "user_last",
    ),
    "item": (
        "item", "category", "shelf", "list_price_cents", "price_cents", "category_price",
        "item_shown", "item_clicks",
    ),
    "taste": ("taste_shown", "taste_clicks"),
}  # fmt: skip
_TEXT = ("segment", "device", "category")
_OF_CATEGORY = ("category", "shelf", "category_price")
TYPES = {
    name: "string" if name in _TEXT else "float64" if name == "category_price" else "int64"
    for names in COLUMNS.values()
    for name in names
}


@dataclass(frozen=True)
class Grained:
    """A feature, the columns its expression names, and the grain of these together."""

    feature: Feature
    columns: frozenset[str]
    grain: Grain


def grained(features: Sequence[Feature]) -> list[Grained]:
    """Each feature with its grain.

    Raises:
        UserError: a feature names a column that is not known of what is to be scored, or looks at
            other rows than its own.
    """
    row = ibis.table(TYPES, name="row")
    return [_grained(feature, row) for feature in features]


def compute(backend: Any, features: Sequence[Feature], table: pa.Table) -> pa.Table:
    """The features of the rows of ``table``, in their order, as they are in training."""
    rows = ibis.memtable(table)
    chosen = {
        f.name: f.expression(rows).cast("float64" if f.kind == "numeric" else "string")
        for f in features
    }
    return backend.to_pyarrow(rows.select(**chosen))


def _grained(feature: Feature, row: Any) -> Grained:
    try:
        made = feature.expression(row).op()
    except AttributeError as error:
        name = getattr(error, "name", None) or str(error)
        raise UserError(
            f"the feature {feature.name} needs '{name}', which is not known when users are scored. "
            f"Known: {', '.join(TYPES)}.{nearest(name, TYPES)} Compute it in scoring/, or train "
            f"without it: features.exclude=[{feature.name}]."
        ) from error
    if made.find((ops.WindowFunction, ops.Reduction, ops.Analytic)):
        raise UserError(
            f"the feature {feature.name} looks at other rows than its own, which are not there "
            "when users are scored. Sum them up where the past is computed, as user_shown is; or "
            f"train without it: features.exclude=[{feature.name}]."
        )
    columns = frozenset(field.name for field in made.find(ops.Field))
    return Grained(feature, columns, _grain(columns))


def _grain(columns: frozenset[str]) -> Grain:
    known: Mapping[Grain, set[str]] = {
        "moment": set(COLUMNS["moment"]),
        "user": {*COLUMNS["moment"], *COLUMNS["user"]},
        "item": {*COLUMNS["moment"], *COLUMNS["item"]},
        "taste": {*COLUMNS["moment"], *COLUMNS["user"], *COLUMNS["taste"], *_OF_CATEGORY},
    }
    for grain, names in known.items():
        if columns <= names:
            return grain
    return "pair"
