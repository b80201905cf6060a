"""The simulated shop: a shard depends on its users alone, and there is something to learn."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from {{cookiecutter.package_name}}.config import DriftConfig, ShopConfig
from {{cookiecutter.package_name}}.data import hashing, shop
from {{cookiecutter.package_name}}.runs import sha256

CONFIG = ShopConfig(users=60)


@pytest.mark.parametrize("cuts", [[0, 60], [0, 1, 60], [0, 13, 14, 40, 60]])
def test_any_split_of_the_users_gives_the_same_rows(cuts: list[int]) -> None:
    whole = shop.simulate_impressions(CONFIG, 0, 60)
    parts = [
        shop.simulate_impressions(CONFIG, first, last) for first, last in itertools.pairwise(cuts)
    ]
    assert pa.concat_tables(parts).equals(whole)


def test_the_seed_decides() -> None:
    other = shop.simulate_impressions(replace(CONFIG, seed=43), 0, 60)
    assert not other.equals(shop.simulate_impressions(CONFIG, 0, 60))


def test_rows_are_unique_ordered_and_within_bounds() -> None:
    rows = shop.simulate_impressions(CONFIG, 0, 60).to_pandas()
    key = rows[["user", "visit", "position"]]
    assert not key.duplicated().any()
    assert key.equals(key.sort_values(["user", "visit", "position"]))
    assert not rows.duplicated(["user", "visit", "item"]).any()
    days = (rows["time"] - shop.start_second(CONFIG)) // shop.DAY
    assert days.between(0, CONFIG.days - 1).all()
    assert rows.groupby("user")["time"].is_monotonic_increasing.all()
    assert (rows.price_cents > 0).all()
    assert 0.04 < rows.click.mean() < 0.2


def test_popularity_falls_with_rank() -> None:
    rows = shop.simulate_impressions(replace(CONFIG, users=300), 0, 300).to_pandas()
    shown = rows["item"].value_counts()
    assert shown[0] > shown[20] > shown.get(300, 0)


def test_drift_changes_clicks_from_its_day_on_and_nothing_before() -> None:
    moved = replace(CONFIG, drift=DriftConfig(day=14, strength=1.0))
    before, after = (
        shop.simulate_impressions(config, 0, 60).to_pandas() for config in (CONFIG, moved)
    )
    early = (before["time"] - shop.start_second(CONFIG)) // shop.DAY < 14
    assert before.drop(columns="click").equals(after.drop(columns="click"))
    assert before[early].equals(after[early])
    assert (before[~early].click != after[~early].click).any()


def test_a_killed_simulation_goes_on_and_ends_with_the_same_bytes(tmp_path: Path) -> None:
    config = ShopConfig(users=90, shard_users=30)
    whole = shop.simulate(config, tmp_path / "whole")
    broken = shop.simulate(config, tmp_path / "broken")
    broken.impressions[1].unlink()
    kept = broken.impressions[0].stat().st_mtime_ns
    again = shop.simulate(config, tmp_path / "broken")
    assert again.impressions[0].stat().st_mtime_ns == kept
    assert [sha256(p) for p in again.impressions] == [sha256(p) for p in whole.impressions]


def test_draws_are_uniform_and_independent_of_order() -> None:
    counters = np.arange(20_000)
    values = hashing.below(hashing.draw(1, "test", counters), 10)
    assert np.bincount(values).min() > 1_800
    shuffled = np.random.default_rng(0).permutation(counters)
    assert (hashing.below(hashing.draw(1, "test", shuffled), 10) == values[shuffled]).all()
