"""What several tests need: a small shop, in a folder of its own."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read once, when the library is loaded

from {{cookiecutter.package_name}}.config import Config, ShopConfig, load_config
from {{cookiecutter.package_name}}.data import shop

# Options are named, so that the tests hold whatever conf/config.yaml makes the default.
SHOP = ["data=shop", "features=all", "data.users=120", "data.shard_users=50"]
SMALL = [*SHOP, "model=boosting", "model.rounds=30"]


def pytest_configure() -> None:
    """Tests press Ctrl-C: a shell that starts them in the background lets it be ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def small_shop(tmp_path_factory: pytest.TempPathFactory) -> shop.Shop:
    config = ShopConfig(users=120, shard_users=50)
    return shop.simulate(config, tmp_path_factory.mktemp("shop"))


@pytest.fixture
def small_config() -> Config:
    return load_config(SMALL)


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Runs of a test, of its kernels and of its commands go to a folder of their own."""
    monkeypatch.setenv("RUNS_DIR", str(tmp_path / "runs"))
    return tmp_path / "runs"


@pytest.fixture(autouse=True)
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Tables that a test takes in go to a folder of their own."""
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def write_csv(tmp_path: Path):
    """Write rows as a CSV file and return the overrides that train on it."""

    def write(header: str, rows: list[str], target: str, *more: str) -> list[str]:
        path = tmp_path / "table.csv"
        path.write_text("\n".join([header, *rows]) + "\n")
        return ["data=table", f"data.path={path}", f"data.target={target}", *more]

    return write
