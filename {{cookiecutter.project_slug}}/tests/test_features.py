"""Features: nothing from the future, and the numbers a plain loop would count."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from {{cookiecutter.package_name}} import features
from {{cookiecutter.package_name}}.config import (
    Config,
    EngineConfig,
    FeaturesConfig,
    load_config,
)
from {{cookiecutter.package_name}}.data import shop as simulated
from {{cookiecutter.package_name}}.errors import UserError
from {{cookiecutter.package_name}}.features import shop
from {{cookiecutter.package_name}}.features.declared import select
from {{cookiecutter.package_name}}.runs import sha256


@pytest.fixture(scope="module")
def built(
    small_shop: simulated.Shop, tmp_path_factory: pytest.TempPathFactory
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Impressions with their category, and their features, in the same order."""
    files = shop.build_shards(small_shop, shop.FEATURES, tmp_path_factory.mktemp("features"))
    rows = pd.concat(map(pd.read_parquet, small_shop.impressions), ignore_index=True)
    rows = rows.merge(pd.read_parquet(small_shop.items), on="item", how="left")
    rows["day"] = (rows["time"] - small_shop.start) // simulated.DAY
    return rows, pd.concat(map(pd.read_parquet, files), ignore_index=True)


def test_the_past_is_what_a_plain_loop_counts(
    built: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    rows, found = built
    assert rows[shop.KEY].equals(found[shop.KEY])
    for number in range(0, len(rows), len(rows) // 60):
        row, got = rows.loc[number], found.loc[number]
        user = rows[(rows.user == row.user) & (rows["time"] < row["time"])]
        taste = user[user.category == row.category]
        item = rows[(rows["item"] == row["item"]) & (rows.day < row.day)]
        assert got.user_shown == len(user)
        assert got.user_rate == (user.click.sum() + 1) / (len(user) + 12)
        assert got.taste_shown == len(taste)
        assert got.taste_rate == (taste.click.sum() + 1) / (len(taste) + 12)
        assert got.item_shown == len(item)
        assert got.item_rate == (item.click.sum() + 1) / (len(item) + 12)
        if len(user):
            assert got.user_days_since == (row["time"] - user["time"].max()) / simulated.DAY
        else:
            assert pd.isna(got.user_days_since)


def test_no_feature_changes_when_the_future_is_taken_away(small_config: Config) -> None:
    assert "none knows the future" in features.check_past(small_config)


def test_a_feature_that_looks_ahead_is_caught(
    small_config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    peeking = shop.Feature(
        "peek", "numeric", "clicks of the user, ever", lambda t: t.click.sum().over(group_by="user")
    )
    monkeypatch.setattr(shop, "FEATURES", [*shop.FEATURES, peeking])
    with pytest.raises(AssertionError, match="peek"):
        features.check_past(small_config)


def test_workers_and_memory_do_not_change_a_byte(
    small_shop: simulated.Shop, tmp_path: Path
) -> None:
    ways = [EngineConfig(), EngineConfig(workers=1, memory=400)]
    built = [
        shop.build_shards(small_shop, shop.FEATURES, tmp_path / str(number), engine)
        for number, engine in enumerate(ways)
    ]
    one, other = [[sha256(file) for file in files] for files in built]
    assert one == other


def test_patterns_choose_features() -> None:
    names = ["price", "user_rate", "user_shown"]
    assert select(names, FeaturesConfig(exclude=["user_*"])) == ["price"]
    assert select(names, FeaturesConfig(include=["user_*"])) == ["user_rate", "user_shown"]
    with pytest.raises(UserError, match="price, user_rate"):
        select(names, FeaturesConfig(include=["nothing"]))


def test_a_table_becomes_typed_columns(write_csv) -> None:
    rows = [f"{i},{i % 7},{'ab'[i % 2]},2026-01-{i % 28 + 1:02d},x,{i % 3 == 0}" for i in range(60)]
    overrides = write_csv("id,number,word,when,same,y", rows, "y")
    examples = features.build(load_config(overrides))
    kinds = {"number": "numeric", "word": "categorical"}
    dates = {"when_day": "numeric", "when_weekday": "numeric"}
    assert examples.schema.features == kinds | dates
    assert any(note.startswith("id: set aside") for note in examples.notes)
    assert "same: set aside, always x" in examples.notes
