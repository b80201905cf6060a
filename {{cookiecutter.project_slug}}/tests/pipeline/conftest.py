"""What tests of the stage share."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from {{cookiecutter.package_name}}.config.tracking import TrackingConfig


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded store as it begins: to make its tables takes MLflow seconds."""
    pytest.importorskip("mlflow", reason='the group "mlflow" is not installed')
    from {{cookiecutter.package_name}}.tracking import store

    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RUNS_DIR", str(folder))
        store.connect(TrackingConfig("mlflow")).search_experiments()
    return folder / ".tracking" / "mlflow.db"


@pytest.fixture
def embedded(runs: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An embedded store in the runs folder of the test, where nothing is sent by itself."""
    monkeypatch.setenv("TRACKING", "none")
    (runs / ".tracking").mkdir(parents=True)
    shutil.copy(empty_store, runs / ".tracking" / "mlflow.db")
    yield runs


@pytest.fixture
def senders(runs: Path) -> Iterator[None]:
    """No sender outlives the test."""
    from {{cookiecutter.package_name}}.runs import locks

    yield
    time.sleep(0.2)
    path = runs / ".tracking" / "sender"
    while locks.is_held(path):
        with contextlib.suppress(OSError, KeyError):
            os.kill(locks.read_owner(path)["pid"], 9)
        time.sleep(0.05)
