"""The proof that features are point-in-time: without the future they come out the same."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..config import EngineConfig, ShopConfig
from ..data import shop as simulated
from . import shop

_MOST_SHARDS = 2


def check_shop(config: ShopConfig) -> str:
    """Build the features of the first shards, with and without the last third of the days.

    Raises:
        AssertionError: a feature of an earlier row differs, and so has seen what came later.
    """
    engine = EngineConfig(workers=1)  # little to do, so in this process
    cut = max(1, config.days * 2 // 3)
    users = min(config.users, _MOST_SHARDS * config.shard_users)
    config = replace(config, users=users)
    with tempfile.TemporaryDirectory() as name:
        whole = simulated.simulate(config, Path(name) / "whole")
        past = simulated.simulate(config, Path(name) / "past")
        for file in past.impressions:
            rows = pq.read_table(file)
            early = pc.less(rows["time"], past.start + cut * simulated.DAY)
            pq.write_table(rows.filter(early), file)
        found = [
            pd.concat(
                pd.read_parquet(file)
                for file in shop.build_shards(each, shop.FEATURES, Path(name) / label, engine)
            )
            for label, each in (("features", whole), ("past features", past))
        ]
    before = found[0][found[0]["day"] < cut].reset_index(drop=True)
    pd.testing.assert_frame_equal(before, found[1].reset_index(drop=True))
    return (
        f"All {len(shop.FEATURES)} features of the {len(before):,} rows before day {cut} come out "
        f"the same when the {config.days - cut} days after it do not exist: none knows the future."
    )
