"""The best items of each user of the shop, shard by shard.

Twice through the impressions: once to count what is known of the items, which all shards share, and
once for the past of the users. A user is scored as if shown an item at the moment ``as_of`` begins,
first in the slate, on the device used most, at its list price: what it will cost that day is not
known. The features are those of ``features/shop.py``, by its own expressions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from pathlib import Path

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..config import EngineConfig, ShopConfig
from ..config.scoring import ScoringConfig
from ..data import shop as simulated
from ..data.sources.base import digest
from ..engines import open_engine
from ..errors import UserError
from ..features import shop as declared
from ..runs import sha256
from ..training.models import Model, load_model
from .candidates import Retrieval, retrieval
from .grain import Grained, grained
from .past import Counts, Ints, Moment, Past, count, numbers, past_of
from .rows import Items, Rows
from .store import Filled, Store, write

PYTHON = 400  # MiB of a worker besides DuckDB's: libraries, a shard's past, and a block's features
_BLOCK = 20_000  # users whose features are in memory at a time
_FEW = 1_500_000  # predictions that are made sooner than workers have started


@dataclass(frozen=True)
class ShardJob:
    """What a worker needs to know to score the users of one shard."""

    users: Path
    impressions: Path
    out: Path
    made_of: str
    model: Path
    items: pa.Table
    usual: str
    moment: Moment
    top_k: int
    candidates: int
    batch: int
    memory: int


@dataclass(frozen=True)
class CountJob:
    """What a worker needs to know to count a shard's impressions by item."""

    users: Path
    impressions: Path
    items: Ints
    moment: Moment


def score_shop(
    config: ShopConfig, settings: ScoringConfig, engine: EngineConfig, model: Path, store: Store
) -> Filled:
    """Score the users of the shop with the model saved in ``model``.

    Raises:
        UserError: the model needs a feature that is not declared or not known of users.
    """
    features_of(load_model(model))  # before anything takes long
    shop = simulated.simulate(config, engine=engine)
    moment = moment_of(shop, settings.as_of)
    shards = list(zip(shop.users, shop.impressions, strict=True))
    table = items_of(shop.items)
    ids = numbers(table, "item")
    if engine.name == "local" and config.users * settings.candidates < _FEW:
        engine = replace(engine, workers=1)
    with open_engine(engine) as workers:
        counting = [CountJob(*paths, ids, moment) for paths in shards]
        counted = workers.map(count_shard, counting, "counting what was shown")
        counts = reduce(add, (each for each, _ in counted))
        table = with_counts(table, counts)
        usual = max(counts.devices, key=lambda name: counts.devices[name], default="")
        shared = digest(counts.shown.tolist(), counts.clicks.tolist(), usual, sha256(shop.items))
        names = [path.stem for path in shop.impressions]
        versions = {
            name: digest(shared, own) for name, (_, own) in zip(names, counted, strict=True)
        }
        with store.opened(versions) as missing:
            memory = engine.memory // engine.workers - PYTHON
            jobs = [
                ShardJob(
                    users, impressions, store.path(name), store.made_of(name, versions[name]),
                    model, table, usual, moment, settings.top_k, settings.candidates,
                    settings.batch, memory,
                )
                for name, (users, impressions) in zip(names, shards, strict=True)
                if name in missing
            ]  # fmt: skip
            predicted = sum(workers.map(score_shard, jobs, "scoring users"))
            facts = {
                "as_of": moment.day,
                "top_k": settings.top_k,
                "candidates": settings.candidates,
            }
            summary = store.finish(versions, facts)
    files = [shop.items, *shop.users, *shop.impressions]
    rows = {path: pq.read_metadata(path).num_rows for path in files}
    return Filled(rows, summary, predicted, [])


def moment_of(shop: simulated.Shop, as_of: int | None) -> Moment:
    """When users are scored: the first second of the day ``as_of``, or of the day after the last.

    Raises:
        UserError: the day is after that.
    """
    day = shop.days if as_of is None else as_of
    if day > shop.days:
        raise UserError(
            f"scoring.as_of={day}: the shop has {shop.days} days, from 0. Give at most {shop.days}."
        )
    return Moment(shop.start + day * simulated.DAY, day)


def features_of(model: Model) -> list[Grained]:
    """The features of ``model`` as they are declared, in the order in which it sees them.

    Raises:
        UserError: one is not declared, is declared as of another kind, or cannot be known of users.
    """
    known = {feature.name: feature for feature in declared.FEATURES}
    wanted = model.schema.features
    lost = [name for name, kind in wanted.items() if name not in known or known[name].kind != kind]
    if lost:
        raise UserError(
            f"the model needs features that features/shop.py does not declare: {', '.join(lost)}. "
            "Declare them as they were when it was trained, or train it again."
        )
    return grained([known[name] for name in wanted])


def items_of(path: Path) -> pa.Table:
    """All items by rising id, with what their category costs; the price shown is the list price."""
    backend = ibis.duckdb.connect(threads=1)
    items = declared.priced(backend.read_parquet(str(path))).order_by("item")
    found = backend.to_pyarrow(items)
    backend.disconnect()
    return found.append_column("price_cents", found["list_price_cents"])


def with_counts(items: pa.Table, counts: Counts) -> pa.Table:
    """The same with how often each was shown and clicked."""
    items = items.append_column("item_shown", pa.array(counts.shown))
    return items.append_column("item_clicks", pa.array(counts.clicks))


def count_shard(job: CountJob) -> tuple[Counts, str]:
    """The shard's impressions by item, and what names its content."""
    of = digest(sha256(job.users), sha256(job.impressions))
    return count(job.impressions, job.items, job.moment), of


def score_shard(job: ShardJob) -> int:
    """Score the users of a shard and write their best items; how many predictions that took.

    Done twice it leaves the same file: it depends on neither batches nor other shards.
    """
    model = load_model(job.model)
    features = features_of(model)
    items = Items(job.items, numbers(job.items, "shelf"))
    ids = numbers(job.items, "item")
    past = past_of(
        job.users, job.impressions, ids, items.shelf, numbers(job.items, "ratio"),
        job.usual, job.moment,
    )  # fmt: skip
    chosen = retrieval(items.shelf, numbers(job.items, "item_clicks"), job.candidates)
    best, scores = [], []
    backend = ibis.duckdb.connect(threads=1, memory_limit=f"{max(job.memory, 100)}MiB")
    for start in range(0, len(past), _BLOCK):
        users = slice(start, min(start + _BLOCK, len(past)))
        rows = Rows(backend, features, past, users, items, job.moment, model)
        for found in _best(rows, chosen, past, users, job.top_k, job.batch):
            best.append(found[0])
            scores.append(found[1])
    backend.disconnect()
    item, score = np.concatenate(best), np.concatenate(scores)
    who, kept = numbers(past.users, "user"), item.shape[1]
    table = pa.table(
        {
            "user": pa.array(np.repeat(who, kept)),
            "rank": pa.array(np.tile(np.arange(1, kept + 1, dtype=np.int32), len(who))),
            "item": pa.array(ids[item].ravel()),
            "score": pa.array(score.ravel()),
        }
    )
    write(job.out, job.made_of, table)
    return len(past) * chosen.size


def _best(
    rows: Rows, chosen: Retrieval, past: Past, users: slice, top_k: int, batch: int
) -> list[tuple[Ints, np.ndarray]]:
    """The best items of each user, the best first, and their scores; of equals, the smaller id."""
    made = []
    step = max(1, batch // chosen.size)
    for start in range(0, users.stop - users.start, step):
        part = slice(start, min(start + step, users.stop - users.start))
        whole = slice(users.start + part.start, users.start + part.stop)
        items = chosen.candidates(past.taste_shown[whole], past.taste_clicks[whole])
        score = rows.predict(part, items).astype(np.float32)
        order = np.argsort(-score, axis=1, kind="stable")[:, :top_k]  # items rise by their ids
        made.append(
            (np.take_along_axis(items, order, axis=1), np.take_along_axis(score, order, axis=1))
        )
    return made
