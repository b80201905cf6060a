"""Users and items as the numbers a model wants: features at their grain, put side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ..training.models import CodedModel, Model
from .grain import Grained, compute
from .past import Ints, Moment, Past

Matrix = NDArray[Any]


@dataclass(frozen=True)
class Items:
    """All items, by rising id: the columns of the grain ``item``, each a chunk of one array."""

    table: pa.Table
    shelf: Ints

    def __len__(self) -> int:
        return len(self.table)


class Rows:
    """The features of some users, and of them with any items.

    Categories are codes of the model; where it has none, places among the words there are.
    """

    def __init__(
        self,
        backend: Any,
        features: Sequence[Grained],
        past: Past,
        users: slice,
        items: Items,
        moment: Moment,
        model: Model,
    ) -> None:
        self._backend, self._features, self._items, self._model = backend, features, items, model
        given = model.categories() if isinstance(model, CodedModel) else None
        self._given, self._words = given or {}, dict(given or {})
        self._dtype = np.float64 if given is None else np.float32
        self._shelf = items.shelf
        self._user = past.columns(users)
        self._moment = {"time": moment.time, "day": moment.day, "position": 0}
        self._count, self._kinds = len(self._user["user"]), past.taste_shown.shape[1]
        self._taste = {
            "taste_shown": pa.array(past.taste_shown[users].ravel()),
            "taste_clicks": pa.array(past.taste_clicks[users].ravel()),
        }
        self._known: dict[str, Matrix] = {}
        for grain, rows in (
            ("moment", self._once),
            ("user", self._users),
            ("item", self._all_items),
            ("taste", self._tastes),
        ):
            if chosen := [each for each in features if each.grain == grain]:
                self._known |= self._encoded(chosen, rows(_needed(chosen)))

    def predict(self, users: slice, items: Ints) -> Matrix:
        """Predictions of the model for what :meth:`matrix` describes, ``(users, items)``."""
        matrix = self.matrix(users, items)
        if isinstance(self._model, CodedModel):
            return self._model.predict_codes(matrix).reshape(items.shape)
        frame: dict[str, Any] = {"item": self._items.table["item"].to_numpy()[items.ravel()]}
        for place, feature in enumerate(self._features):
            name, column = feature.feature.name, matrix[:, place]
            frame[name] = column
            if feature.feature.kind == "categorical":
                codes, words = np.nan_to_num(column, nan=-1), self._words[name]
                codes = codes.astype(np.int32)
                frame[name] = pd.Categorical.from_codes(codes, pd.Index(words, dtype=str))
        return self._model.predict(pd.DataFrame(frame, copy=False)).reshape(items.shape)

    def matrix(self, users: slice, items: Ints) -> Matrix:
        """Shape ``(users * items of a user, features)``.

        Args:
            users: of these, counted from the first.
            items: places of items, ``(users, items of a user)``.
        """
        count, each = items.shape
        made = np.empty((count, each, len(self._features)), dtype=self._dtype)
        taste = np.arange(users.start, users.stop)[:, None] * self._kinds + self._shelf[items]
        pairs = [feature for feature in self._features if feature.grain == "pair"]
        crossed = self._encoded(pairs, self._pairs(users, items, taste, pairs)) if pairs else {}
        for place, feature in enumerate(self._features):
            name, column = feature.feature.name, made[:, :, place]
            if feature.grain == "moment":
                column[:] = self._known[name]
            elif feature.grain == "user":
                column[:] = self._known[name][users][:, None]
            elif feature.grain == "item":
                column[:] = self._known[name][items]
            elif feature.grain == "taste":
                column[:] = self._known[name][taste]
            else:
                column[:] = crossed[name].reshape(count, each)
        return made.reshape(count * each, len(self._features))

    def _once(self, needed: frozenset[str]) -> pa.Table:
        return self._with_moment({}, needed, 1)

    def _users(self, needed: frozenset[str]) -> pa.Table:
        columns = {name: each for name, each in self._user.items() if name in needed}
        return self._with_moment(columns, needed, self._count)

    def _all_items(self, needed: frozenset[str]) -> pa.Table:
        names = [name for name in self._items.table.column_names if name in needed]
        columns = {name: self._items.table[name].combine_chunks() for name in names}
        return self._with_moment(columns, needed, len(self._items))

    def _tastes(self, needed: frozenset[str]) -> pa.Table:
        """A row for each user and category."""
        columns = {name: each for name, each in self._taste.items() if name in needed}
        users = pa.array(np.repeat(np.arange(self._count), self._kinds))
        columns |= {n: each.take(users) for n, each in self._user.items() if n in needed}
        one = np.unique(self._shelf, return_index=True)[1]  # an item of each category
        shelves = pa.array(np.tile(one, self._count))
        for name in ("category", "shelf", "category_price"):
            if name in needed:
                columns[name] = self._items.table[name].combine_chunks().take(shelves)
        return self._with_moment(columns, needed, self._count * self._kinds)

    def _pairs(self, users: slice, items: Ints, taste: Ints, chosen: list[Grained]) -> pa.Table:
        """A row for each that is to be scored: what crosses users and items costs the most."""
        needed = _needed(chosen)
        who = pa.array(np.repeat(np.arange(users.start, users.stop), items.shape[1]))
        what, liked = pa.array(items.ravel()), pa.array(taste.ravel())
        columns = {n: each.take(who) for n, each in self._user.items() if n in needed}
        columns |= {n: each.take(liked) for n, each in self._taste.items() if n in needed}
        for name in self._items.table.column_names:
            if name in needed:
                columns[name] = self._items.table[name].combine_chunks().take(what)
        return self._with_moment(columns, needed, items.size)

    def _with_moment(
        self, columns: dict[str, pa.Array], needed: frozenset[str], rows: int
    ) -> pa.Table:
        for name, value in self._moment.items():
            if name in needed:
                columns[name] = pa.array(np.full(rows, value, dtype=np.int64))
        # A feature may be the same everywhere, and name no column.
        return pa.table(columns or {"rows": pa.nulls(rows)})

    def _encoded(self, chosen: Sequence[Grained], table: pa.Table) -> dict[str, Matrix]:
        found = compute(self._backend, [each.feature for each in chosen], table)
        return {each.feature.name: self._numbers(each, found[each.feature.name]) for each in chosen}

    def _numbers(self, feature: Grained, column: pa.ChunkedArray) -> Matrix:
        name = feature.feature.name
        if feature.feature.kind == "categorical":
            if name not in self._given:
                self._words[name] = sorted(pc.unique(column).drop_null().to_pylist())
            column = pc.index_in(column, value_set=pa.array(self._words[name], pa.string()))
        return column.cast(pa.float64()).to_numpy().astype(self._dtype)


def _needed(features: Sequence[Grained]) -> frozenset[str]:
    return frozenset[str]().union(*(each.columns for each in features))
