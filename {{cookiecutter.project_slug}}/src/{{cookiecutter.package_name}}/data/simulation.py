"""The world behind the simulated shop: users visit, see a slate of items, and click on some.

Each user has a hidden taste for every category and a sensitivity to price; each item has a hidden
quality and a Zipf popularity. A click is drawn from these, so there is something to learn and a
best possible model. From ``drift.day`` on tastes move.

A row depends on the configuration and its user alone. All but a few tables is integers.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ..config import ShopConfig
from .hashing import (
    Int64,
    UInt64,
    Weights,
    below,
    choose,
    draw,
    follow,
    mixed,
    normal,
    one_in,
    stream,
)

DEVICES = ("mobile", "desktop", "tablet")
SEGMENTS = ("family", "student", "professional", "retired")
CATEGORIES = (
    "books", "garden", "kitchen", "toys", "sports", "music",
    "fashion", "beauty", "tools", "pets", "games", "travel",
)  # fmt: skip
DAY = 86_400
_HOURS = (1, 1, 1, 1, 1, 2, 3, 5, 6, 6, 6, 7, 8, 7, 6, 6, 7, 9, 11, 13, 14, 12, 7, 3)
# Clicks: a logit in thousandths, turned to a probability of 2**32 by a table.
_LOGIT_LIMIT = 12_000
_SIGMOID: UInt64 = np.array(
    [round(2**32 / (1 + math.exp(-x / 1000))) for x in range(-_LOGIT_LIMIT, _LOGIT_LIMIT + 1)],
    dtype=np.uint64,
)
_BASE_LOGIT = -2_900
_PART = 160_000  # impressions that are simulated at a time, about
IMPRESSIONS = pa.schema(
    [
        *((name, pa.int64()) for name in ("user", "visit", "position", "time", "item")),
        ("price_cents", pa.int64()),
        ("device", pa.string()),
        ("click", pa.int64()),
    ]
)


def start_second(config: ShopConfig) -> int:
    day = datetime.date.fromisoformat(config.start)
    return (day - datetime.date(1970, 1, 1)).days * DAY


def item_table(config: ShopConfig) -> pa.Table:
    """All items: ``item``, ``category``, ``list_price_cents``."""
    category, price = _item_category(config), _item_price(config)
    return pa.table(
        {
            "item": pa.array(np.arange(config.items), pa.int64()),
            "category": pa.array([_category_name(c) for c in category], pa.string()),
            "list_price_cents": pa.array(price, pa.int64()),
        }
    )


def simulate_users(config: ShopConfig, first: int, last: int) -> pa.Table:
    """Users ``[first, last)``: ``user``, ``segment``, ``joined_day`` (before the start < 0)."""
    user = np.arange(first, last)
    segment = below(draw(config.seed, "segment", user), len(SEGMENTS))
    joined = -below(draw(config.seed, "joined", user), 730)
    return pa.table(
        {
            "user": pa.array(user, pa.int64()),
            "segment": _names(segment, SEGMENTS),
            "joined_day": pa.array(joined, pa.int64()),
        }
    )


def simulate_impressions(config: ShopConfig, first: int, last: int) -> pa.Table:
    """What users ``[first, last)`` were shown and whether they clicked.

    Columns: ``user``, ``visit`` (of the user, in time order), ``position`` (in the slate), ``time``
    (seconds since 1970, UTC), ``item``, ``price_cents``, ``device``, ``click`` (0 or 1).
    """
    return pa.concat_tables(impressions(config, first, last))


def impressions(config: ShopConfig, first: int, last: int) -> Iterator[pa.Table]:
    """The same in parts of whole users: what is at hand for a part takes about 50 MiB."""
    world = _World(config)
    step = max(1, int(_PART / config.visits / config.slate))
    for start in range(first, last, step):
        yield _part(world, np.arange(start, min(start + step, last)))


class _World:
    """What is the same for all users: items, and the first steps of draws by user or item."""

    def __init__(self, config: ShopConfig) -> None:
        seed, item = config.seed, np.arange(config.items)
        self.config = config
        self.start = start_second(config)
        self.hours = Weights(_HOURS)
        self.popularity = Weights([1 / (rank + 3) ** 0.9 for rank in range(config.items)])
        self.category = _item_category(config)
        self.level = _price_level(config, item)
        self.promotion = draw(seed, "promotion", item)
        # Of items at their list price, then of items in promotion.
        price = _item_price(config)
        self.price = np.concatenate([price, price * 80 // 100])
        appeal = _BASE_LOGIT + normal(draw(seed, "quality", item)) * 500 // 1000
        self.appeal = np.concatenate([appeal, appeal + 400])


@dataclass(frozen=True)
class _Visits:
    """Visits in the order of users and, of a user, of time; one element each."""

    who: Int64  # place of the user among those at hand
    number: Int64  # of the visit, of the user
    time: Int64  # in seconds since 1970
    device: Int64


def _part(world: _World, user: Int64) -> pa.Table:
    """The impressions of a few users. Values of impressions have a row for each position of a slate
    and a column for each visit: what belongs to a visit lies side by side."""
    config, seed = world.config, world.config.seed
    users = mixed(user)
    visits = _visits(world, users)
    who, visit = visits.who, mixed(visits.number)
    place = np.arange(config.slate)[:, None]
    places = mixed(place)

    def drawn(name: str) -> UInt64:
        return follow(follow(follow(stream(seed, name), users)[who], visit), places)

    item = choose(drawn("slate"), world.popularity)
    shown = _first_in_slate(item.astype(np.min_scalar_type(config.items)))
    day = (visits.time - world.start) // DAY
    promoted = one_in(follow(world.promotion[item], mixed(day // 7)), 10)
    ware = item + config.items * promoted

    of_visit = np.array([0, 150, -100])[visits.device]
    of_visit += np.where((visits.time % DAY) // 3600 >= 18, 200, 0)
    logit = _taste(world, users, who, day, world.category[item])
    logit += world.appeal[ware]
    logit -= _price_sensitivity(seed, users)[who] * world.level[item] // 1000
    logit += of_visit
    logit -= 30 * place
    np.clip(logit, -_LOGIT_LIMIT, _LOGIT_LIMIT, out=logit)
    logit += _LOGIT_LIMIT
    click = (drawn("click") >> np.uint64(32)) < _SIGMOID[logit]

    shown = np.ascontiguousarray(shown.T)
    rows = shown.sum(axis=1)

    def of_rows(values: NDArray[Any]) -> pa.Array:
        return pa.array(np.ascontiguousarray(values.T)[shown].astype(np.int64, copy=False))

    def repeated(values: Int64) -> pa.Array:
        return pa.array(np.repeat(values, rows))

    device = np.repeat(visits.device.astype(np.int8), rows)
    return pa.table(
        {
            "user": repeated(user[who]),
            "visit": repeated(visits.number),
            "position": of_rows(np.broadcast_to(place, item.shape)),
            "time": repeated(visits.time),
            "item": of_rows(item),
            "price_cents": of_rows(world.price[ware]),
            "device": _names(device, DEVICES),
            "click": of_rows(click),
        }
    )


def _visits(world: _World, users: UInt64) -> _Visits:
    """When the ``users``, given by their mixed numbers, come, and with what."""
    config, seed = world.config, world.config.seed

    def of_user(name: str) -> UInt64:
        return follow(stream(seed, name), users)

    # 1 + an exponential number: most users come rarely, a few all the time.
    extra = np.array(
        [int((config.visits - 0.5) * -math.log(1 - (i + 0.5) / 1024)) for i in range(1024)]
    )
    count = 1 + extra[below(of_user("visits"), 1024)]
    who = np.repeat(np.arange(len(users)), count)
    number = np.arange(len(who)) - np.repeat(np.cumsum(count) - count, count)
    visit = mixed(number)

    def of_visit(name: str) -> UInt64:
        return follow(of_user(name)[who], visit)

    day = below(of_visit("day"), config.days)
    hour = choose(of_visit("hour"), world.hours)
    time = day * DAY + hour * 3600 + below(of_visit("second"), 3600)
    usual = np.array([0, 0, 0, 0, 0, 0, 1, 1, 1, 2])[below(of_user("device"), 10)]
    other = below(of_visit("other device"), len(DEVICES))
    device = np.where(one_in(of_visit("habit"), 5), other, usual[who])

    # Visits of one user are numbered in time order.
    order = np.argsort(who * (config.days * DAY) + time, kind="stable")
    return _Visits(who, number, world.start + time[order], device[order])


def _first_in_slate(item: NDArray[Any]) -> NDArray[np.bool_]:
    """Where no earlier position, which is a row, has the item: it is shown once in a slate."""
    shown = np.ones(item.shape, dtype=bool)
    for position in range(1, len(item)):
        shown[position] = ~(item[:position] == item[position]).any(axis=0)
    return shown


def _taste(world: _World, users: UInt64, who: Int64, day: Int64, category: Int64) -> Int64:
    """How much the user of a visit likes a category on its day, as a logit in thousandths."""
    config, seed = world.config, world.config.seed
    segment = below(follow(stream(seed, "segment"), users), len(SEGMENTS))
    segments, categories = np.arange(len(SEGMENTS))[:, None], np.arange(config.categories)
    row = who * config.categories

    def taste(name: str) -> Int64:
        own = normal(follow(follow(stream(seed, name), users)[:, None], mixed(categories)))
        shared = normal(draw(seed, f"{name} of segment", segments, categories))
        return ((own * 1_000 + shared[segment] * 500) // 1000).ravel()

    before = taste("taste")
    if config.drift.day is None:
        return before[row + category]
    moved = round(1000 * config.drift.strength)
    after = (before * (1000 - moved) + taste("new taste") * moved) // 1000
    return np.where(day >= config.drift.day, after[row + category], before[row + category])


def _price_sensitivity(seed: int, users: UInt64) -> Int64:
    drawn = normal(follow(stream(seed, "price sensitivity"), users))
    return np.maximum(0, 300 + drawn * 250 // 1000)


def _price_level(config: ShopConfig, item: Int64) -> Int64:
    """Log-price of an item around its category's middle, in thousandths."""
    return normal(draw(config.seed, "price", item))


def _item_category(config: ShopConfig) -> Int64:
    return below(draw(config.seed, "category", np.arange(config.items)), config.categories)


def _item_price(config: ShopConfig) -> Int64:
    """List prices in cents: log-normal around a middle that differs by category."""
    level = _price_level(config, np.arange(config.items))
    middle = 1_500 + 400 * _item_category(config)
    factor = np.array([round(1000 * math.exp(0.5 * x / 100)) for x in range(-500, 501)])
    return middle * factor[np.clip(level // 10, -500, 500) + 500] // 1000


def _category_name(number: int) -> str:
    return CATEGORIES[number] if number < len(CATEGORIES) else f"category_{number:02d}"


def _names(codes: NDArray[np.integer], names: tuple[str, ...]) -> pa.Array:
    """Words by their place in ``names``, as strings."""
    return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(names)).cast(pa.string())
