"""What is known of users and items at a moment: sums of all impressions before it.

They are what ``features/shop.py`` computes for an impression at that moment: of a user all visits
before, of an item all days before. Summed once for each shard, they need no impression to join.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ..data.shop import DAY

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Moment:
    """When users are scored: seconds since 1970 in UTC, and the day of the shop, 0 is the first."""

    time: int
    day: int

    @property
    def midnight(self) -> int:
        """The first second of its day: what is known of items is from before it."""
        return self.time - self.time % DAY


@dataclass(frozen=True)
class Counts:
    """Of each item, in the order of the items: how often it was shown, and clicked. Of each device,
    how many impressions it has."""

    shown: Ints
    clicks: Ints
    devices: dict[str, int]

    def __add__(self, other: Counts) -> Counts:
        names = sorted({*self.devices, *other.devices})
        devices = {n: self.devices.get(n, 0) + other.devices.get(n, 0) for n in names}
        return Counts(self.shown + other.shown, self.clicks + other.clicks, devices)


def count(impressions: Path, items: Ints, moment: Moment) -> Counts:
    """What a shard adds to what is known of the items, whose ids are ``items`` in rising order."""
    table = _read(impressions, ["item", "time", "click", "device"], moment.midnight)
    place, click = places(items, numbers(table, "item")), numbers(table, "click")
    device = table["device"].combine_chunks()
    codes, names = device.indices.to_numpy(), device.dictionary.to_pylist()
    found = np.bincount(codes, minlength=len(names)).tolist()
    return Counts(
        np.bincount(place, minlength=len(items)),
        _sums(place, click, len(items)),
        dict(sorted(zip(names, found, strict=True))),
    )


@dataclass(frozen=True)
class Past:
    """What is known of users, an element or a row each, in the order of the file of users.

    Attributes:
        ratios: price over the category's average of all they clicked, summed, in thousandths.
        last: second of the last visit; 0 where there was none.
        device: the one used most, and as in the alphabet where several are.
        taste_shown: ``(users, categories)``, how often items of a category were shown.
        taste_clicks: the same of clicks.
    """

    users: pa.Table
    shown: Ints
    clicks: Ints
    ratios: Ints
    last: Ints
    device: pa.Array
    taste_shown: Ints
    taste_clicks: Ints

    def __len__(self) -> int:
        return len(self.users)

    def columns(self, rows: slice) -> dict[str, pa.Array]:
        """The columns of the grain ``user``; what nobody knows before a first visit is missing."""
        new = self.shown[rows] == 0
        users = self.users.slice(rows.start, rows.stop - rows.start)
        return {
            **{name: users[name].combine_chunks() for name in ("user", "segment", "joined_day")},
            "device": self.device[rows.start : rows.stop],
            "user_shown": pa.array(self.shown[rows]),
            "user_clicks": pa.array(self.clicks[rows]),
            "user_clicked_ratio": pa.array(self.ratios[rows], mask=new),
            "user_last": pa.array(self.last[rows], mask=new),
        }


def past_of(
    users: Path,
    impressions: Path,
    items: Ints,
    shelf: Ints,
    ratio: Ints,
    usual: str,
    moment: Moment,
) -> Past:
    """The past of the users of a shard.

    Args:
        items: ids of all items, in rising order.
        shelf: the category of each, from 0.
        ratio: its price over the average of its category, in thousandths.
        usual: the device of users without a past.
    """
    who = pq.read_table(users, columns=["user", "segment", "joined_day"])
    ids, kinds = numbers(who, "user"), int(shelf.max()) + 1
    table = _read(impressions, ["user", "time", "item", "click", "device"], moment.time)
    user, item = places(ids, numbers(table, "user")), places(items, numbers(table, "item"))
    time, click = numbers(table, "time"), numbers(table, "click")
    count, taste = len(ids), user * kinds + shelf[item]
    shown = np.bincount(user, minlength=count)
    last = np.zeros(count, dtype=np.int64)
    np.maximum.at(last, user, time)
    return Past(
        who,
        shown,
        _sums(user, click, count),
        _sums(user, click * ratio[item], count),
        last,
        _usual(table["device"].combine_chunks(), user, count, usual),
        np.bincount(taste, minlength=count * kinds).reshape(count, kinds),
        _sums(taste, click, count * kinds).reshape(count, kinds),
    )


def _usual(device: pa.DictionaryArray, user: Ints, users: int, otherwise: str) -> pa.Array:
    given = device.dictionary.to_pylist()
    names = sorted({*given, otherwise})
    code = np.array([names.index(name) for name in given], dtype=np.int64)
    cells = user * len(names) + code[device.indices.to_numpy()] if given else user
    used = np.bincount(cells, minlength=users * len(names)).reshape(users, len(names))
    most = used.argmax(axis=1)
    most[used.sum(axis=1) == 0] = names.index(otherwise)
    return pa.array(np.array(names, dtype=object)[most], pa.string())


def _read(path: Path, columns: list[str], before: int) -> pa.Table:
    table = pq.read_table(path, columns=columns, read_dictionary=["device"])
    early = numbers(table, "time") < before
    return table.unify_dictionaries() if early.all() else table.filter(early).unify_dictionaries()


def _sums(place: Ints, values: Ints, count: int) -> Ints:
    """Sums by place. They are of whole numbers, which floating ones hold exactly up to 2**53."""
    return np.bincount(place, weights=values, minlength=count).astype(np.int64)


def numbers(table: pa.Table, name: str) -> Ints:
    return table[name].to_numpy().astype(np.int64, copy=False)


def places(known: Ints, wanted: Ints) -> Ints:
    """Where each of ``wanted`` stands in ``known``, which rises."""
    first = known[0] if len(known) else 0
    if len(known) and known[-1] - first == len(known) - 1:  # without a gap: nothing to search
        return wanted - first
    return np.searchsorted(known, wanted)
