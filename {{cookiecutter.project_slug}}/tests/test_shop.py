"""The simulated shop: a shard depends on its users alone, and there is something to learn."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from {{cookiecutter.package_name}}.config import DriftConfig, EngineConfig, ShopConfig
from {{cookiecutter.package_name}}.data import hashing, shop, simulation
from {{cookiecutter.package_name}}.runs.files import WRITING, sha256

CONFIG = ShopConfig(users=60)
SHARDS = ShopConfig(users=2_000, shard_users=400)
# A part of a shard takes long enough here to be killed in the middle of it.
SIMULATE = """
import sys, time
from pathlib import Path
from {{cookiecutter.package_name}}.config import ShopConfig
from {{cookiecutter.package_name}}.data import shop, simulation
parts = simulation.impressions
def slowly(*given):
    for part in parts(*given):
        yield part
        time.sleep(60)
simulation.impressions = slowly
shop.simulate(ShopConfig(users=2_000, shard_users=400), Path(sys.argv[1]))
"""


def hashes(made: shop.Shop) -> list[str]:
    return [sha256(path) for path in (made.items, *made.users, *made.impressions)]


def wait_for(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize("cuts", [[0, 60], [0, 1, 60], [0, 13, 14, 40, 60]])
def test_any_split_of_the_users_gives_the_same_rows(cuts: list[int]) -> None:
    whole = simulation.simulate_impressions(CONFIG, 0, 60)
    parts = [
        simulation.simulate_impressions(CONFIG, first, last)
        for first, last in itertools.pairwise(cuts)
    ]
    assert pa.concat_tables(parts).equals(whole)


def test_the_seed_decides() -> None:
    other = simulation.simulate_impressions(replace(CONFIG, seed=43), 0, 60)
    assert not other.equals(simulation.simulate_impressions(CONFIG, 0, 60))


def test_rows_are_unique_ordered_and_within_bounds() -> None:
    rows = simulation.simulate_impressions(CONFIG, 0, 60).to_pandas()
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
    rows = simulation.simulate_impressions(replace(CONFIG, users=300), 0, 300).to_pandas()
    shown = rows["item"].value_counts()
    assert shown[0] > shown[20] > shown.get(300, 0)


def test_drift_changes_clicks_from_its_day_on_and_nothing_before() -> None:
    moved = replace(CONFIG, drift=DriftConfig(day=14, strength=1.0))
    before, after = (
        simulation.simulate_impressions(config, 0, 60).to_pandas() for config in (CONFIG, moved)
    )
    early = (before["time"] - shop.start_second(CONFIG)) // shop.DAY < 14
    assert before.drop(columns="click").equals(after.drop(columns="click"))
    assert before[early].equals(after[early])
    assert (before[~early].click != after[~early].click).any()


def test_parts_of_a_shard_are_whole_users(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = simulation.simulate_impressions(CONFIG, 0, 60)
    monkeypatch.setattr(simulation, "_PART", 1)
    parts = list(simulation.impressions(CONFIG, 0, 60))
    assert len(parts) == 60
    assert pa.concat_tables(parts).equals(whole)


def test_an_item_is_shown_once_in_a_slate_where_it_came_first() -> None:
    rows = simulation.simulate_impressions(replace(CONFIG, items=3), 0, 60).to_pandas()
    slates = rows.groupby(["user", "visit"])
    assert (slates["item"].nunique() == slates.size()).all()
    assert (slates["position"].min() == 0).all()
    assert rows["position"].max() > 2  # a position after items that had been shown


def test_a_simulation_goes_on_where_it_stopped(tmp_path: Path) -> None:
    config = ShopConfig(users=90, shard_users=30)
    whole = shop.simulate(config, tmp_path / "whole")
    broken = shop.simulate(config, tmp_path / "broken")
    broken.impressions[1].unlink()
    kept = broken.impressions[0].stat().st_mtime_ns
    again = shop.simulate(config, tmp_path / "broken")
    assert again.impressions[0].stat().st_mtime_ns == kept
    assert hashes(again) == hashes(whole)


def test_files_that_are_not_of_the_configuration_are_not_of_the_shop(tmp_path: Path) -> None:
    shop.simulate(ShopConfig(users=90, shard_users=30), tmp_path)
    fewer = shop.simulate(ShopConfig(users=40, shard_users=30), tmp_path)
    assert [path.name for path in fewer.impressions] == [
        "shard-00000.parquet",
        "shard-00001.parquet",
    ]
    assert len(fewer.users) == 2


@pytest.mark.slow
def test_bytes_are_the_same_at_any_number_of_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = hashes(shop.simulate(SHARDS, tmp_path / "here"))
    monkeypatch.setattr(shop, "_FEW", 0)  # for workers, however few
    for workers in (1, 2, 3):
        engine = EngineConfig(workers=workers)
        assert hashes(shop.simulate(SHARDS, tmp_path / str(workers), engine)) == here


@pytest.mark.slow
def test_killed_while_it_writes_no_half_file_stays_and_other_workers_finish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "killed"
    process = subprocess.Popen([sys.executable, "-c", SIMULATE, str(root)], start_new_session=True)
    wait_for(lambda: any(f.stat().st_size for f in (root / "impressions").glob(f"{WRITING}*")))
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    (left,) = (root / "impressions").iterdir()
    assert left.name.startswith(WRITING)
    os.utime(left, (0, 0))  # as if it had been long ago: nobody is writing it

    monkeypatch.setattr(shop, "_FEW", 0)
    finished = shop.simulate(SHARDS, root, EngineConfig(workers=2))
    assert not left.exists()
    assert hashes(finished) == hashes(shop.simulate(SHARDS, tmp_path / "whole"))


def test_draws_are_uniform_and_independent_of_order() -> None:
    counters = np.arange(20_000)
    values = hashing.below(hashing.draw(1, "test", counters), 10)
    assert np.bincount(values).min() > 1_800
    shuffled = np.random.default_rng(0).permutation(counters)
    assert (hashing.below(hashing.draw(1, "test", shuffled), 10) == values[shuffled]).all()
