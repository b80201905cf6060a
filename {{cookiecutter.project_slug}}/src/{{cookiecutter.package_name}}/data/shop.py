"""The files of the simulated shop, made shard by shard where they are not there yet.

On disk, below ``data/shop/<key>/``::

    items.parquet                   item, category, list_price_cents
    users/shard-00000.parquet       user, segment, joined_day
    impressions/shard-00000.parquet one row for each item shown, ordered by user, visit, position

What is in them is told in :mod:`.simulation`. A shard depends on the configuration and its user
range alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from ..config import PROJECT_ROOT, EngineConfig, ShopConfig
from ..engines import open_engine
from ..runs.files import atomic_path, leftovers, sha256
from . import hashing, simulation
from .simulation import DAY, IMPRESSIONS, start_second

__all__ = ["DAY", "Shard", "Shop", "make_shard", "shard_ranges", "simulate", "start_second"]

_FEW = 4_000_000  # impressions that are simulated sooner than workers have started
_PARQUET = {"compression": "zstd", "compression_level": 1}


@dataclass(frozen=True)
class Shop:
    """Where a simulated shop lies. Paths of equal position belong to the same users."""

    root: Path
    start: int  # the first second, since 1970 in UTC
    days: int
    seed: int
    shards: int

    @property
    def items(self) -> Path:
        return self.root / "items.parquet"

    @property
    def impressions(self) -> list[Path]:
        return self._files("impressions")

    @property
    def users(self) -> list[Path]:
        return self._files("users")

    def _files(self, kind: str) -> list[Path]:
        return [self.root / kind / f"shard-{each:05d}.parquet" for each in range(self.shards)]


@dataclass(frozen=True)
class Shard:
    """The users ``[first, last)`` of a shop, their file, and that of what they were shown."""

    config: ShopConfig
    first: int
    last: int
    users: Path
    impressions: Path


def simulate(
    config: ShopConfig, folder: Path | None = None, engine: EngineConfig | None = None
) -> Shop:
    """The shop of ``config``: simulated where it is not on disk yet, shard by shard.

    The bytes do not depend on ``engine``, which says how many processes work and where. A shard is
    whole or absent, so a killed simulation goes on where it stopped, on any engine.

    Raises:
        UserError: the disk is full or cannot be written, or what the engine needs is missing.
    """
    root = folder or PROJECT_ROOT / "data" / "shop" / _key(config)
    ranges = list(shard_ranges(config))
    shop = Shop(root, start_second(config), config.days, config.seed, len(ranges))
    if not shop.items.exists():
        with atomic_path(shop.items) as temporary:
            pq.write_table(simulation.item_table(config), temporary, **_PARQUET)
    shards = [
        Shard(config, *users, *files)
        for users, *files in zip(ranges, shop.users, shop.impressions, strict=True)
    ]
    missing = [each for each in shards if not (each.users.exists() and each.impressions.exists())]
    if missing:
        for left in leftovers(root):  # of processes that were killed
            left.unlink(missing_ok=True)
    users_missing = sum(each.last - each.first for each in missing)
    if len(missing) > 1 and users_missing * config.visits * config.slate > _FEW:
        with open_engine(engine or EngineConfig()) as workers:
            workers.map(make_shard, missing, "simulating")
    else:
        for each in missing:
            make_shard(each)
    return shop


def make_shard(shard: Shard) -> None:
    """Simulate what is not on disk yet of one shard. Impressions are in memory a part at a time."""
    config, first, last = shard.config, shard.first, shard.last
    if not shard.users.exists():
        with atomic_path(shard.users) as temporary:
            pq.write_table(simulation.simulate_users(config, first, last), temporary, **_PARQUET)
    if not shard.impressions.exists():
        with (
            atomic_path(shard.impressions) as temporary,
            pq.ParquetWriter(temporary, IMPRESSIONS, **_PARQUET) as writer,
        ):
            for part in simulation.impressions(config, first, last):
                writer.write_table(part, row_group_size=len(part))


def shard_ranges(config: ShopConfig) -> Iterator[tuple[int, int]]:
    """The user ranges ``[first, last)`` of the shards."""
    for first in range(0, config.users, config.shard_users):
        yield first, min(first + config.shard_users, config.users)


def _key(config: ShopConfig) -> str:
    """The folder's name: a change of the configuration or of this code makes another."""
    code = [sha256(Path(each)) for each in (__file__, simulation.__file__, hashing.__file__)]
    content: list[Any] = [asdict(config), code]
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return f"{config.users}-users-{digest[:10]}"
