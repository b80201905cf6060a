"""The simulated shop: users visit, see a slate of items, and click on some.

Each user has a hidden taste for every category and a sensitivity to price; each item has a hidden
quality and a Zipf popularity. A click is drawn from these, so there is something to learn and a
best possible model. From ``drift.day`` on tastes move.

On disk, below ``data/shop/<key>/``::

    items.parquet                   item, category, list_price_cents
    users/shard-00000.parquet       user, segment, joined_day
    impressions/shard-00000.parquet one row for each item shown, ordered by user, visit, position

A shard depends on the configuration and its user range alone.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ..config import PROJECT_ROOT, ShopConfig
from ..progress import track
from ..runs.files import atomic_path, sha256
from .hashing import Int64, UInt64, below, choose, cumulative_weights, draw, normal

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


@dataclass(frozen=True)
class Shop:
    """Where a simulated shop lies. Paths of equal position belong to the same users."""

    root: Path
    start: int  # the first second, since 1970 in UTC
    days: int

    @property
    def items(self) -> Path:
        return self.root / "items.parquet"

    @cached_property
    def impressions(self) -> list[Path]:
        return sorted((self.root / "impressions").glob("shard-*.parquet"))

    @cached_property
    def users(self) -> list[Path]:
        return sorted((self.root / "users").glob("shard-*.parquet"))


def simulate(config: ShopConfig, folder: Path | None = None) -> Shop:
    """The shop of ``config``: simulated where it is not on disk yet, shard by shard.

    A shard is whole or absent, so a killed simulation goes on where it stopped.
    """
    root = folder or PROJECT_ROOT / "data" / "shop" / _key(config)
    ranges = list(shard_ranges(config))
    for number, (first, last) in enumerate(track(ranges, "simulating")):
        name = f"shard-{number:05d}.parquet"
        users, impressions = root / "users" / name, root / "impressions" / name
        if not users.exists():
            _write(users, simulate_users(config, first, last))
        if not impressions.exists():
            _write(impressions, simulate_impressions(config, first, last))
    if not (root / "items.parquet").exists():
        _write(root / "items.parquet", item_table(config))
    return Shop(root, start_second(config), config.days)


def shard_ranges(config: ShopConfig) -> Iterator[tuple[int, int]]:
    """The user ranges ``[first, last)`` of the shards."""
    for first in range(0, config.users, config.shard_users):
        yield first, min(first + config.shard_users, config.users)


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
    seed = config.seed
    visitor, visit, time, device = _visits(config, first, last)
    item, shown = _slates(config, visitor, visit)
    row, position = np.nonzero(shown)
    user, visit, time, device = visitor[row], visit[row], time[row], device[row]
    item = item[row, position]
    day = (time - start_second(config)) // DAY

    category = _item_category(config)[item]
    list_price = _item_price(config)[item]
    promoted = below(draw(seed, "promotion", item, day // 7), 10) == 0
    price = np.where(promoted, list_price * 80 // 100, list_price)

    logit = (
        _BASE_LOGIT
        + _taste(config, user, category, day)
        + normal(draw(seed, "quality", item)) * 500 // 1000
        - _price_sensitivity(seed, user) * (_price_level(config, item)) // 1000
        + np.where(promoted, 400, 0)
        + np.array([0, 150, -100])[device]
        + np.where((time % DAY) // 3600 >= 18, 200, 0)
        - 30 * position
    )
    chance = _SIGMOID[np.clip(logit, -_LOGIT_LIMIT, _LOGIT_LIMIT) + _LOGIT_LIMIT]
    click = (draw(seed, "click", user, visit, position) >> np.uint64(32)) < chance
    return pa.table(
        {
            "user": pa.array(user, pa.int64()),
            "visit": pa.array(visit, pa.int64()),
            "position": pa.array(position, pa.int64()),
            "time": pa.array(time, pa.int64()),
            "item": pa.array(item, pa.int64()),
            "price_cents": pa.array(price, pa.int64()),
            "device": _names(device, DEVICES),
            "click": pa.array(click.astype(np.int64), pa.int64()),
        }
    )


def _visits(config: ShopConfig, first: int, last: int) -> tuple[Int64, Int64, Int64, Int64]:
    """One element a visit: user, number of the visit, time in seconds, device."""
    seed = config.seed
    users = np.arange(first, last)
    # 1 + an exponential number: most users come rarely, a few all the time.
    extra = np.array(
        [int((config.visits - 0.5) * -math.log(1 - (i + 0.5) / 1024)) for i in range(1024)]
    )
    count = 1 + extra[below(draw(seed, "visits", users), 1024)]
    user = np.repeat(users, count)
    number = np.arange(len(user)) - np.repeat(np.cumsum(count) - count, count)

    day = below(draw(seed, "day", user, number), config.days)
    hour = choose(draw(seed, "hour", user, number), cumulative_weights([float(h) for h in _HOURS]))
    second = below(draw(seed, "second", user, number), 3600)
    time = start_second(config) + day * DAY + hour * 3600 + second
    usual = below(draw(seed, "device", user), 10)
    usual = np.where(usual < 6, 0, np.where(usual < 9, 1, 2))
    other = below(draw(seed, "other device", user, number), len(DEVICES))
    device = np.where(below(draw(seed, "habit", user, number), 5) == 0, other, usual)

    order = np.lexsort((number, time, user))
    return user[order], number, time[order], device[order]


def _slates(config: ShopConfig, user: Int64, visit: Int64) -> tuple[Int64, NDArray[np.bool_]]:
    """Items by visit and position, and which of them are shown: an item once in a slate."""
    popularity = cumulative_weights([1 / (rank + 3) ** 0.9 for rank in range(config.items)])
    position = np.arange(config.slate)[None, :]
    item = choose(draw(config.seed, "slate", user[:, None], visit[:, None], position), popularity)
    order = np.argsort(item, axis=1, kind="stable")
    ranked = np.take_along_axis(item, order, axis=1)
    first = np.ones_like(ranked, dtype=bool)
    first[:, 1:] = ranked[:, 1:] != ranked[:, :-1]
    shown = np.zeros_like(first)
    np.put_along_axis(shown, order, first, axis=1)
    return item, shown


def _taste(config: ShopConfig, user: Int64, category: Int64, day: Int64) -> Int64:
    """How much a user likes a category on a day, as a logit in thousandths."""
    seed = config.seed
    segment = below(draw(seed, "segment", user), len(SEGMENTS))

    def taste(stream: str) -> Int64:
        own = normal(draw(seed, stream, user, category)) * 1_000
        shared = normal(draw(seed, f"{stream} of segment", segment, category)) * 500
        return (own + shared) // 1000

    before = taste("taste")
    if config.drift.day is None:
        return before
    moved = round(1000 * config.drift.strength)
    after = (before * (1000 - moved) + taste("new taste") * moved) // 1000
    return np.where(day >= config.drift.day, after, before)


def _price_sensitivity(seed: int, user: Int64) -> Int64:
    return np.maximum(0, 300 + normal(draw(seed, "price sensitivity", user)) * 250 // 1000)


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


def _names(codes: Int64, names: tuple[str, ...]) -> pa.Array:
    return pa.array(np.array(names)[codes], pa.string())


def _write(path: Path, table: pa.Table) -> None:
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", compression_level=1)


def _key(config: ShopConfig) -> str:
    """The folder's name: a change of the configuration or of this code makes another."""
    code = [sha256(Path(__file__)), sha256(Path(__file__).with_name("hashing.py"))]
    content: list[Any] = [asdict(config), code]
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return f"{config.users}-users-{digest[:10]}"
