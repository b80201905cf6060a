"""Point-in-time features of the shop: what was known when an item was shown, and nothing later.

The past of a user is every visit before this one; the past of an item is every day before this
one. Features are Ibis expressions of tables, wherever these lie, so one declaration runs on any
engine that Ibis speaks to. Division is of floating numbers, and all that is summed are integers:
no engine, and no order in which it adds, makes another number of them.

With DuckDB, which needs no server, they are built shard by shard; the only thing that crosses
shards is the small table of items by day. An engine that has a module in ``backends/`` gets whole
tables instead.
"""

from __future__ import annotations

import datetime
import hashlib
import json
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import ibis
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ..config import PROJECT_ROOT, Config, EngineConfig, ShopConfig
from ..data import shop as simulated
from ..data.examples import Examples, Schema, Stored, drawn, read
from ..engines import open_engine
from ..errors import UserError
from ..runs.files import sha256
from . import shards
from .contract import shop_contract
from .declared import Feature, select
from .shards import (
    PYTHON,
    Limits,
    Part,
    connected,
    few,
    rows_by_piece,
    rows_of,
    sampled,
    spill_folder,
    write_rows,
)

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


@dataclass(frozen=True)
class Plan:
    """Which features of which users are built, and where: ``share`` of them, of which ``seen`` are
    in memory."""

    shop: simulated.Shop
    features: list[Feature]
    share: float
    seen: float
    folder: Path
    inputs: dict[Path, int]  # rows of each file of the shop


def plan(config: Config) -> Plan:
    """Simulate the shop where it is not there yet, and see how much of it is wanted."""
    assert isinstance(config.data, ShopConfig)
    shop = simulated.simulate(config.data, engine=config.engine)
    inputs = _inputs(shop)
    total = sum(inputs[path] for path in shop.impressions)
    share, seen = (
        min(1.0, wanted / total) if wanted else 1.0
        for wanted in (config.training.rows, config.training.sample)
    )
    chosen = select([feature.name for feature in FEATURES], config.features)
    features = [feature for feature in FEATURES if feature.name in chosen]
    folder = PROJECT_ROOT / "data" / "features" / _key(shop, features, share)
    return Plan(shop, features, share, seen, folder, inputs)


def build(config: Config) -> Examples:
    """Simulate the shop where it is not there yet, and build its features shard by shard."""
    assert isinstance(config.data, ShopConfig)
    wanted = plan(config)
    files = build_shards(wanted.shop, wanted.features, wanted.folder, config.engine, wanted.share)
    stored, ranks = None, config.training.ranks
    if wanted.seen < wanted.share or ranks > 1:
        stored = Stored(files, sum(map(_rows, files)), config.engine, ranks)
    if wanted.seen < wanted.share:
        frame = _sample(files, wanted.shop.seed, wanted.seen)
    else:
        frame = pd.concat(map(pd.read_parquet, files), ignore_index=True)
    total = sum(wanted.inputs[path] for path in wanted.shop.impressions)
    notes = [f"a sample of whole users: {len(frame):,} of {total:,} rows"]
    meaning = {feature.name: feature.why for feature in wanted.features}
    made = schema(wanted.features)
    first = datetime.date.fromisoformat(config.data.start)
    return Examples(
        frame,
        made,
        wanted.inputs,
        meaning,
        notes if len(frame) < total else [],
        derived=True,
        contract=shop_contract(made, list(frame.columns)),
        span=(first, first + datetime.timedelta(days=config.data.days - 1)),
        stored=stored,
    )


def _sample(files: list[Path], seed: int, share: float) -> pd.DataFrame:
    """The rows of the share of users that is drawn, read a few at a time."""
    rows = [
        each.filter(pa.array(drawn(each["user"].to_numpy(), seed, share)))
        for each in read(files, "reading a sample")
    ]
    if not any(map(len, rows)):
        raise UserError("training.sample: no user is in so small a sample. Give more rows, or null")
    return pa.Table.from_batches(rows).to_pandas()


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


@dataclass(frozen=True)
class ShardJob:
    """What a worker needs to know to build the features of one shard; plain values, no tables."""

    start: int  # the first second of day 0
    seed: int
    share: float
    items: Path
    users: Path
    impressions: Path
    history: Path
    features: tuple[str, ...]
    out: Path
    limits: Limits


def build_shards(
    shop: simulated.Shop,
    features: list[Feature],
    folder: Path,
    engine: EngineConfig | None = None,
    share: float = 1.0,
) -> list[Path]:
    """One Parquet file of features for each shard of users, ordered by :data:`KEY`.

    Columns: the key, ``slate`` (one visit of one user), ``day``, ``item``, ``click`` and the
    features. With ``share`` below 1 only for that share of the users, always the same ones; what is
    known of an item is known from all users. What is there already is kept, so a killed build goes
    on where it stopped. The bytes do not depend on ``engine``.

    Raises:
        UserError: what the engine needs is not there, or a file cannot be written.
    """
    engine = engine or EngineConfig()
    parts = [
        Part(users, shown, folder / shown.name)
        for users, shown in zip(shop.users, shop.impressions, strict=True)
    ]
    missing = [part for part in parts if not part.out.exists()]
    if missing:
        backend = find_backend(engine.name)
        with spill_folder(folder) as spill:
            if backend is None:
                _build_missing(shop, features, missing, folder, engine, share, spill)
            else:
                with backend.opened(engine, spill) as opened:
                    opened.build(shop, features, missing, spill, share)
    return [part.out for part in parts]


def _build_missing(
    shop: simulated.Shop,
    features: list[Feature],
    missing: list[Part],
    folder: Path,
    engine: EngineConfig,
    share: float,
    spill: Path,
) -> None:
    """By DuckDB, in the processes of an engine where there is enough to do for them."""
    history = folder / "items.parquet"
    if not history.exists():
        everything = Limits(engine.memory - PYTHON, engine.workers, spill)
        with connected(everything) as duckdb:
            shown = duckdb.read_parquet([str(path) for path in shop.impressions])
            table = item_history(duckdb.read_parquet(str(shop.items)), shown, shop.start)
            write_rows(history, rows_of(duckdb, table.order_by(["item", "day"])))
    if engine.name == "local" and few(missing):
        engine = replace(engine, workers=1)
    memory = engine.memory // min(engine.workers, len(missing)) - PYTHON
    jobs = [
        ShardJob(
            start=shop.start,
            seed=shop.seed,
            share=share,
            items=shop.items,
            users=part.users,
            impressions=part.impressions,
            history=history,
            features=tuple(feature.name for feature in features),
            out=part.out,
            limits=Limits(memory, threads=1, spill=spill),
        )
        for part in missing
    ]
    with open_engine(engine) as workers:
        workers.map(build_shard, jobs, "building features")


def build_shard(job: ShardJob) -> None:
    """Build and write the features of one shard; done twice it leaves the same file."""
    declared = {feature.name: feature for feature in FEATURES}
    with connected(job.limits) as duckdb:
        users = sampled(job.users, job.seed, job.share)
        shown = duckdb.read_parquet(str(job.impressions), table_name="shown")
        of_users = duckdb.create_table("users", users.schema.empty_table(), temp=True)
        impressions = duckdb.create_view("impressions", shown)
        table = feature_table(
            of_users,
            duckdb.read_parquet(str(job.items)),
            impressions.semi_join(of_users, "user") if job.share < 1 else impressions,
            duckdb.read_parquet(str(job.history)),
            job.start,
            [declared[name] for name in job.features],
        ).order_by(KEY)
        rows = int(pq.read_metadata(job.impressions).num_rows * job.share)
        write_rows(job.out, rows_by_piece(duckdb, table, users, shown, rows))


def item_history(items: Any, impressions: Any, start: int) -> Any:
    """For each item and day: how often it was shown and clicked on all days before.

    There is a row for each item on each day that anything was shown, and on the day after each.
    ``start`` is the first second of day 0.
    """
    by_day = (
        impressions.select("item", "click", day=(impressions.time - start) // simulated.DAY)
        .group_by(["item", "day"])
        .aggregate(shown=lambda t: t.count(), clicks=lambda t: t.click.sum())
    )
    days = by_day.select("day")
    days = days.union(days.select(day=days.day + 1), distinct=True)
    full = (
        items.select("item")
        .cross_join(days)
        .left_join(by_day, ["item", "day"])
        .select(
            "item",
            "day",
            shown=lambda t: t.shown.fill_null(0),
            clicks=lambda t: t.clicks.fill_null(0),
        )
    )
    before = ibis.window(group_by="item", order_by="day", preceding=(None, 1))
    return full.select(
        "item",
        "day",
        item_shown=lambda t: t.shown.sum().over(before).fill_null(0),
        item_clicks=lambda t: t.clicks.sum().over(before).fill_null(0),
    )


def feature_table(
    users: Any, items: Any, impressions: Any, history: Any, start: int, features: list[Feature]
) -> Any:
    """The features of ``impressions``, as an expression of tables that lie on one engine.

    Args:
        users: ``user``, ``segment``, ``joined_day``.
        items: ``item``, ``category``, ``list_price_cents``; all there are.
        impressions: what the users were shown, all of it: it is their past as well.
        history: as :func:`item_history` makes it.
        start: the first second of day 0.
        features: which, in the order of the columns.
    """
    items = priced(items)
    table = (
        impressions.mutate(
            day=(impressions.time - start) // simulated.DAY,
            slate=impressions.user * 65_536 + impressions.visit,
        )
        .join(items, "item")
        .join(users, "user")
        .join(history, ["item", "day"])
        .join(_user_past(impressions, items), ["user", "time"])
        .join(_taste_past(impressions, items), ["user", "shelf", "time"])
    )
    table = table.mutate(**{name: table[name].fill_null(0) for name in _COUNTS})
    keep = [*KEY, "slate", "day", "item", "click"]
    return table.select(
        **{name: table[name] for name in keep},
        **{
            f.name: f.expression(table).cast("float64" if f.kind == "numeric" else "string")
            for f in features
            if f.name not in keep
        },
    )


_COUNTS = ("user_shown", "user_clicks", "taste_shown", "taste_clicks")


def priced(items: Any) -> Any:
    """Items with what their category costs, and the category's number: cheaper to join by."""
    same = ibis.window(group_by="category")
    items = items.mutate(
        total=items.list_price_cents.sum().over(same),
        count=items.item.count().over(same),
        shelf=ibis.dense_rank().over(order_by=items.category),
    )
    return items.select(
        "item",
        "category",
        "list_price_cents",
        "shelf",
        category_price=items.total / items["count"],
        # Price over the category's average in thousandths, rounded: integers can be summed.
        ratio=(2000 * items.list_price_cents * items["count"] + items.total) // (2 * items.total),
    )


def _user_past(impressions: Any, items: Any) -> Any:
    """For each user and moment of a visit: what was shown to, and clicked by the user before.

    Items of one slate were shown at once and know nothing of each other, so moments are enough: a
    tenth of the rows or less.
    """
    by_time = (
        impressions.select("user", "time", "item", "click")
        .join(items.select("item", "ratio"), "item")
        .group_by(["user", "time"])
        .aggregate(
            shown=lambda t: t.count(),
            clicks=lambda t: t.click.sum(),
            ratios=lambda t: (t.ratio * t.click).sum(),
        )
    )
    past = ibis.window(group_by="user", order_by="time", preceding=(None, 1))
    return by_time.select(
        "user",
        "time",
        user_shown=by_time.shown.sum().over(past),
        user_clicks=by_time.clicks.sum().over(past),
        user_clicked_ratio=by_time.ratios.sum().over(past),
        user_last=by_time.time.max().over(past),
    )


def _taste_past(impressions: Any, items: Any) -> Any:
    """For each user, category and moment: what of it was shown and clicked before."""
    by_time = (
        impressions.select("user", "time", "item", "click")
        .join(items.select("item", "shelf"), "item")
        .group_by(["user", "shelf", "time"])
        .aggregate(shown=lambda t: t.count(), clicks=lambda t: t.click.sum())
    )
    past = ibis.window(group_by=["user", "shelf"], order_by="time", preceding=(None, 1))
    return by_time.select(
        "user",
        "shelf",
        "time",
        taste_shown=by_time.shown.sum().over(past),
        taste_clicks=by_time.clicks.sum().over(past),
    )


def find_backend(name: str) -> Any:
    """The module of ``backends/`` for an engine that takes whole tables; None for the others."""
    module = f"{__package__}.backends.{name}"
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name not in (module, f"{__package__}.backends"):
            raise
        return None


def _inputs(shop: simulated.Shop) -> dict[Path, int]:
    return {file: _rows(file) for file in [shop.items, *shop.users, *shop.impressions]}


def _rows(file: Path) -> int:
    return int(pq.read_metadata(file).num_rows)


def _key(shop: simulated.Shop, features: list[Feature], share: float = 1.0) -> str:
    """The folder's name: another shop, set of features, share or code makes another."""
    modules = (__file__, simulated.__file__, shards.__file__)
    code = [sha256(Path(module)) for module in modules]
    # By name, not by where it lies: the same features on another machine have the same key.
    names = [feature.name for feature in features]
    content = [shop.root.name, shop.start, shop.days, shop.seed, names, share, code]
    digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()
    return f"{shop.root.name}-{digest[:10]}"
