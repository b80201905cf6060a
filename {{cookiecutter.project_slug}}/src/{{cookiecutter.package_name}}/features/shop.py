"""Point-in-time features of the shop: what was known when an item was shown, and nothing later.

The past of a user is every visit before this one; the past of an item is every day before this
one. Features are Ibis expressions, so the same declaration runs on other engines. They are built
shard by shard; the only thing that crosses shards is the small table of items by day.
"""

from __future__ import annotations

import datetime
import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ibis
import pandas as pd

from ..config import PROJECT_ROOT, Config, ShopConfig
from ..data import shop as simulated
from ..data.examples import Examples, Schema
from ..progress import track
from ..runs.files import atomic_path, sha256
from .contract import shop_contract
from .declared import Feature, select

# A rate counts as if seen this often at the average before anything else is known of it.
PRIOR_CLICKS, PRIOR_SHOWN = 1, 12
KEY = ["user", "visit", "position"]


def _rate(clicks: Any, shown: Any) -> Any:
    return (clicks + PRIOR_CLICKS) / (shown + PRIOR_SHOWN)


# The declared set. `t` is the impression joined with its user, item and their pasts.
FEATURES = [
    Feature("price", "numeric", "price shown, in cents", lambda t: t.price_cents),
    Feature("discount", "numeric", "share taken off the list price",
            lambda t: 1 - t.price_cents / t.list_price_cents),
    Feature("relative_price", "numeric", "list price over the average of its category",
            lambda t: t.list_price_cents / t.category_price),
    Feature("position", "numeric", "place in the slate, 0 is the first", lambda t: t.position),
    Feature("hour", "numeric", "hour of the day, UTC", lambda t: (t.time % simulated.DAY) // 3600),
    Feature("weekday", "numeric", "0 is Monday", lambda t: (t.time // simulated.DAY + 3) % 7),
    Feature("device", "categorical", "what the user browses with", lambda t: t.device),
    Feature("segment", "categorical", "the user's segment", lambda t: t.segment),
    Feature("category", "categorical", "the item's category", lambda t: t.category),
    Feature("tenure_days", "numeric", "days since the user joined", lambda t: t.day - t.joined_day),
    Feature("user_shown", "numeric", "items the user was shown before", lambda t: t.user_shown),
    Feature("user_rate", "numeric", "the user's click rate before",
            lambda t: _rate(t.user_clicks, t.user_shown)),
    Feature("user_price_ratio", "numeric", "relative price of what the user clicked before",
            lambda t: t.user_clicked_ratio / t.user_clicks.nullif(0) / 1000),
    Feature("user_days_since", "numeric", "days since the user's last visit",
            lambda t: (t.time - t.user_last) / simulated.DAY),
    Feature("taste_shown", "numeric", "items of this category the user was shown before",
            lambda t: t.taste_shown),
    Feature("taste_rate", "numeric", "the user's click rate in this category before",
            lambda t: _rate(t.taste_clicks, t.taste_shown)),
    Feature("taste_lift", "numeric", "that rate over the user's rate",
            lambda t: _rate(t.taste_clicks, t.taste_shown) / _rate(t.user_clicks, t.user_shown)),
    Feature("item_shown", "numeric", "times the item was shown before today",
            lambda t: t.item_shown),
    Feature("item_rate", "numeric", "the item's click rate before today",
            lambda t: _rate(t.item_clicks, t.item_shown)),
]  # fmt: skip


def build(config: Config) -> Examples:
    """Simulate the shop where it is not there yet, and build its features shard by shard."""
    assert isinstance(config.data, ShopConfig)
    shop = simulated.simulate(config.data)
    chosen = select([feature.name for feature in FEATURES], config.features)
    features = [feature for feature in FEATURES if feature.name in chosen]
    folder = PROJECT_ROOT / "data" / "features" / _key(shop, features)
    files = build_shards(shop, features, folder, config.training.threads)
    frame = pd.concat([pd.read_parquet(file) for file in files], ignore_index=True)
    meaning = {feature.name: feature.why for feature in features}
    made = schema(features)
    first = datetime.date.fromisoformat(config.data.start)
    return Examples(
        frame,
        made,
        _inputs(shop),
        meaning,
        derived=True,
        contract=shop_contract(made, list(frame.columns)),
        span=(first, first + datetime.timedelta(days=config.data.days - 1)),
    )


def schema(features: list[Feature]) -> Schema:
    """What the columns of the shop's examples mean: a click to predict, ranked within a visit."""
    return Schema(
        task="binary",
        target="click",
        features={feature.name: feature.kind for feature in features},
        classes=["no click", "click"],
        key=KEY,
        time="day",
        group="user",
        recurring=True,  # users come back, and their past is known
        ranking="slate",
        position="position",
    )


def build_shards(
    shop: simulated.Shop, features: list[Feature], folder: Path, threads: int = 1
) -> list[Path]:
    """One Parquet file of features for each shard of users, ordered by :data:`KEY`.

    Columns: the key, ``slate`` (one visit of one user), ``day``, ``item``, ``click`` and the
    features. What is there already is kept, so a killed build goes on where it stopped.
    """
    engine = ibis.duckdb.connect(threads=threads)
    stats = folder / "items.parquet"
    if not stats.exists():
        _write(engine, item_history(engine, shop), ["item", "day"], stats)
    files = []
    for users, impressions in track(
        list(zip(shop.users, shop.impressions, strict=True)), "building features"
    ):
        file = folder / impressions.name
        if not file.exists():
            table = shard(engine, shop, users, impressions, stats, features)
            _write(engine, table, KEY, file)
        files.append(file)
    engine.disconnect()
    return files


def item_history(engine: Any, shop: simulated.Shop) -> Any:
    """For each item and day: how often it was shown and clicked on all days before."""
    items = engine.read_parquet(str(shop.items))
    shown = engine.read_parquet([str(path) for path in shop.impressions])
    by_day = (
        shown.mutate(day=(shown.time - shop.start) // simulated.DAY)
        .group_by(["item", "day"])
        .aggregate(shown=lambda t: t.count(), clicks=lambda t: t.click.sum().cast("int64"))
    )
    days = ibis.range(shop.days).unnest().name("day").as_table()
    grid = items.select("item").cross_join(days)
    full = grid.left_join(by_day, ["item", "day"]).select(
        "item",
        "day",
        shown=lambda t: t.shown.fill_null(0),
        clicks=lambda t: t.clicks.fill_null(0),
    )
    before = ibis.window(group_by="item", order_by="day", preceding=(None, 1))
    return full.select(
        item="item",
        day=lambda t: t.day.cast("int64"),
        item_shown=lambda t: t.shown.sum().over(before).fill_null(0).cast("int64"),
        item_clicks=lambda t: t.clicks.sum().over(before).fill_null(0).cast("int64"),
    )


def shard(
    engine: Any,
    shop: simulated.Shop,
    users: Path,
    impressions: Path,
    stats: Path,
    features: list[Feature],
) -> Any:
    """The features of one shard, as an expression."""
    items = engine.read_parquet(str(shop.items))
    items = items.mutate(category_price=items.list_price_cents.mean().over(group_by="category"))
    shown = engine.read_parquet(str(impressions))
    shown = shown.mutate(
        day=(shown.time - shop.start) // simulated.DAY, slate=shown.user * 65_536 + shown.visit
    )
    table = (
        shown.join(items, "item")
        .join(engine.read_parquet(str(users)), "user")
        .join(engine.read_parquet(str(stats)), ["item", "day"])
    )
    # Ratios in thousandths: sums of integers do not depend on their order.
    table = table.mutate(ratio=(1000 * table.list_price_cents / table.category_price).cast("int64"))
    # By time, not by row: items of one slate were shown at once and know nothing of each other.
    before = ibis.range_window(group_by="user", order_by="time", preceding=(None, 1))
    taste = ibis.range_window(group_by=["user", "category"], order_by="time", preceding=(None, 1))
    table = table.mutate(
        user_shown=table.count().over(before),
        user_clicks=table.click.sum().over(before).fill_null(0).cast("int64"),
        user_clicked_ratio=(table.ratio * table.click).sum().over(before).cast("int64"),
        user_last=table.time.max().over(before),
        taste_shown=table.count().over(taste),
        taste_clicks=table.click.sum().over(taste).fill_null(0).cast("int64"),
    )
    keep = [*KEY, "slate", "day", "item", "click"]
    return table.select(
        **{name: table[name] for name in keep},
        **{
            f.name: f.expression(table).cast("float64" if f.kind == "numeric" else "string")
            for f in features
            if f.name not in keep
        },
    )


def _write(engine: Any, table: Any, order: list[str], path: Path) -> None:
    """Rows in a stated order: without it the bytes of a file change from run to run."""
    with atomic_path(path) as temporary:
        engine.to_parquet(table.order_by(order), temporary, compression="zstd")


def _inputs(shop: simulated.Shop) -> dict[Path, int]:
    import pyarrow.parquet as pq

    files = [shop.items, *shop.users, *shop.impressions]
    return {file: pq.read_metadata(file).num_rows for file in files}


def _key(shop: simulated.Shop, features: list[Feature]) -> str:
    """The folder's name: another shop, set of features or version of this code makes another."""
    code = [sha256(Path(__file__)), sha256(Path(simulated.__file__))]
    content = [str(shop.root.name), asdict(shop), [f.name for f in features], code]
    digest = hashlib.sha256(json.dumps(content, default=str).encode()).hexdigest()
    return f"{shop.root.name}-{digest[:10]}"
