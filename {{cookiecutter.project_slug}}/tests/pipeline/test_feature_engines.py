"""One declaration of the features, and the same files from every engine."""

from __future__ import annotations

import importlib.util
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import sqlglot
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlglot import exp

from {{cookiecutter.package_name}}.config import EngineConfig, ShopConfig, load_config
from {{cookiecutter.package_name}}.data import shop as simulated
from {{cookiecutter.package_name}}.errors import UserError
from {{cookiecutter.package_name}}.features import shop
from {{cookiecutter.package_name}}.features.backends.base import statements
from {{cookiecutter.package_name}}.runs import sha256

from ..test_sources import postgres

__all__ = ["postgres"]  # the fixture: a real server

LOCAL = EngineConfig(workers=1)
SHOPS = st.builds(
    ShopConfig,
    users=st.integers(1, 60),
    days=st.integers(4, 12),
    items=st.integers(2, 40),
    categories=st.integers(1, 15),
    visits=st.sampled_from([1.0, 2.0, 6.5]),
    slate=st.integers(2, 12),
    seed=st.integers(0, 2**32 - 1),
    shard_users=st.sampled_from([20, 35, 60]),
)


@pytest.fixture(params=[pytest.param("spark", marks=pytest.mark.slow), "postgres"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> EngineConfig:
    if request.param == "spark":
        pytest.importorskip("pyspark", reason="the group spark is not installed")
        if not shutil.which("java"):
            pytest.skip("Spark needs Java, which is not installed")
        options = {"spark.sql.shuffle.partitions": 2, "spark.ui.enabled": False}
        return EngineConfig(name="spark", options=options)
    monkeypatch.setenv("SHOP_URL", request.getfixturevalue("postgres"))
    return EngineConfig(name="postgres", address="postgresql:SHOP_URL")


def built(
    which: simulated.Shop, folder: Path, engine: EngineConfig, share: float = 1.0
) -> dict[str, str]:
    files = shop.build_shards(which, shop.FEATURES, folder, engine, share)
    return {file.name: sha256(file) for file in files}


def odd(config: ShopConfig, folder: Path) -> simulated.Shop:
    """A simulated shop with what a real one has: days of which nothing came, users who never click,
    two visits in one second, and a user of whom nothing is known but that there is one."""
    made = simulated.simulate(config, folder)
    for file in made.impressions:
        rows = pq.read_table(file)
        user, time = rows["user"].to_numpy(), rows["time"].to_numpy()
        day = (time - made.start) // simulated.DAY
        click = np.where(user % 3 == 0, 0, rows["click"].to_numpy())
        time = np.where(user % 4 == 1, made.start + day * simulated.DAY + 43_200, time)
        rows = rows.set_column(rows.column_names.index("click"), "click", pa.array(click))
        rows = rows.set_column(rows.column_names.index("time"), "time", pa.array(time))
        kept = (day != 2) & (user % 11 != 10)
        pq.write_table(rows.filter(pa.array(kept)), file)
    return made


@settings(
    max_examples=3, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(config=SHOPS, share=st.sampled_from([1.0, 0.5]))
def test_engines_write_the_same_bytes(
    config: ShopConfig, share: float, engine: EngineConfig, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("shop")
    which = odd(config, folder / "shop")
    expected = built(which, folder / "duckdb", LOCAL, share)
    assert built(which, folder / engine.name, engine, share) == expected


def test_a_difference_between_engines_is_seen(
    engine: EngineConfig, small_shop: simulated.Shop, tmp_path: Path
) -> None:
    expected = built(small_shop, tmp_path / "duckdb", LOCAL)
    file = shutil.copytree(small_shop.root, tmp_path / "shop") / "impressions/shard-00001.parquet"
    rows = pq.read_table(file)
    price = pc.add(rows["price_cents"], pa.array(np.arange(len(rows)) == 7).cast(pa.int64()))
    pq.write_table(
        rows.set_column(rows.column_names.index("price_cents"), "price_cents", price), file
    )
    moved = replace(small_shop, root=tmp_path / "shop")
    found = built(moved, tmp_path / "engine", engine)
    assert [name for name in expected if found[name] != expected[name]] == [file.name]


def test_a_sample_has_whole_users_with_the_same_features(
    small_shop: simulated.Shop, tmp_path: Path
) -> None:
    built(small_shop, tmp_path / "all", LOCAL)
    built(small_shop, tmp_path / "half", LOCAL, 0.5)
    built(small_shop, tmp_path / "tenth", LOCAL, 0.1)
    users: dict[str, set[int]] = {}
    for name in ("all", "half", "tenth"):
        users[name] = set()
        for file in sorted((tmp_path / name).glob("shard-*")):
            rows, whole = pq.read_table(file), pq.read_table(tmp_path / "all" / file.name)
            users[name] |= set(rows["user"].to_pylist())
            assert rows.equals(whole.filter(pc.is_in(whole["user"], rows["user"].combine_chunks())))
    assert users["tenth"] < users["half"] < users["all"]
    assert 0.35 < len(users["half"]) / len(users["all"]) < 0.65


def test_what_is_there_is_kept_and_the_rest_is_built(
    engine: EngineConfig, small_shop: simulated.Shop, tmp_path: Path
) -> None:
    expected = built(small_shop, tmp_path / "shards", LOCAL)
    files = sorted((tmp_path / "shards").glob("shard-*"))
    before = files[0].stat().st_mtime_ns
    files[1].unlink()
    assert built(small_shop, tmp_path / "shards", engine) == expected
    assert files[0].stat().st_mtime_ns == before
    assert {each.name for each in (tmp_path / "shards").iterdir()} == {*expected, "items.parquet"}


def test_pieces_of_a_shard_change_no_byte(
    small_shop: simulated.Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = built(small_shop, tmp_path / "whole", LOCAL)
    monkeypatch.setattr(shop.shards, "_PIECE", 997)
    assert built(small_shop, tmp_path / "pieces", LOCAL) == expected


def test_workers_change_no_byte(
    small_shop: simulated.Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = built(small_shop, tmp_path / "one", LOCAL)
    monkeypatch.setattr(shop.shards, "_FEW", 0)
    assert built(small_shop, tmp_path / "two", EngineConfig(workers=2)) == expected


@pytest.mark.parametrize("name", ["history", "features"])
def test_bigquery_knows_every_word_of_its_sql(small_shop: simulated.Shop, name: str) -> None:
    statement = statements(small_shop, shop.FEATURES, "bigquery")[name]
    parsed = sqlglot.parse_one(statement, dialect="bigquery")
    unknown = {call.name.upper() for call in parsed.find_all(exp.Anonymous)} - {
        "IEEE_DIVIDE"
    }  # in the reference of BigQuery; sqlglot has no class for it
    assert not unknown
    assert not list(parsed.find_all(exp.Command))
    if name == "features":
        assert parsed.named_selects[-1] == shop.FEATURES[-1].name
    nonsense = sqlglot.parse_one(statement.replace("FLOOR(", "EPOCH_FLOOR("), dialect="bigquery")
    assert [call.name for call in nonsense.find_all(exp.Anonymous) if "EPOCH" in call.name]


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("postgresql://ada:hunter2@localhost/shop", "name of an environment variable"),
        ("postgresql:NO_SUCH_URL", "NO_SUCH_URL is not set"),
        ("postgresql:DEAD_URL", "Is DEAD_URL the right URL"),
    ],
)
def test_postgres_says_what_is_missing_and_no_password(
    small_shop: simulated.Shop,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    address: str,
    said: str,
) -> None:
    pytest.importorskip("psycopg", reason="the group postgres is not installed")
    monkeypatch.setenv("DEAD_URL", "postgresql://ada:hunter2@127.0.0.1:1/shop")
    with pytest.raises(UserError, match=said) as caught:
        built(small_shop, tmp_path, EngineConfig(name="postgres", address=address))
    assert "hunter2" not in str(caught.value)


USER = {"type": "authorized_user", "client_id": "a", "client_secret": "b", "refresh_token": "c"}


@pytest.mark.parametrize(
    ("login", "said"),
    [(None, "gcloud auth application-default login"), (USER, r"engine\.address: name the Google")],
)
def test_bigquery_without_a_login_or_a_project_says_so(
    small_shop: simulated.Shop,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    login: dict[str, str] | None,
    said: str,
) -> None:
    pytest.importorskip("google.cloud.bigquery", reason="the group bigquery is not installed")
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    if login is not None:
        (tmp_path / "application_default_credentials.json").write_text(json.dumps(login))
    with pytest.raises(UserError, match=said):
        built(small_shop, tmp_path / "features", EngineConfig(name="bigquery"))


@pytest.mark.parametrize("name", ["postgres", "bigquery", "spark"])
def test_each_engine_has_its_configuration(name: str) -> None:
    config = load_config(["data=shop", f"engine={name}"]).engine
    assert config.name == name
    assert importlib.util.find_spec(f"{shop.__package__}.backends.{name}")
