"""Runs: a manifest from the start, a truthful end, and files that are whole or absent."""

from __future__ import annotations

from pathlib import Path

import pytest

from {{cookiecutter.package_name}}.config import Config
from {{cookiecutter.package_name}}.errors import UserError
from {{cookiecutter.package_name}}.runs import (
    find_run,
    open_run,
    read_manifest,
    write_atomic,
)

FIELDS = {
    "schema_version", "id", "kind", "started", "ended", "status", "cause", "command", "git",
    "environment", "seeds", "config", "inputs", "outputs", "metrics",
}  # fmt: skip


def test_a_manifest_says_what_a_result_depends_on(
    tmp_path: Path, runs: Path, small_config: Config
) -> None:
    table = tmp_path / "table.csv"
    table.write_text("x\n1\n")
    with open_run("train", small_config) as run:
        assert read_manifest(run.path)["status"] == "running"
        write_atomic(run.path / "model" / "model.json", "{}")
        run.add_input(table, 1)
        run.metrics["auc"] = 0.5
    manifest = read_manifest(run.path)
    assert set(manifest) == FIELDS
    assert manifest["status"] == "succeeded"
    assert list(manifest["outputs"]) == ["model/model.json"]
    (entry,) = manifest["inputs"].values()
    assert (entry["bytes"], entry["rows"], len(entry["sha256"])) == (4, 1, 64)
    assert manifest["config"]["seed"] == small_config.seed
    assert (runs / "latest").resolve() == run.path.resolve()


@pytest.mark.parametrize(
    ("error", "status", "cause"),
    [
        (ValueError("bad row"), "failed", "ValueError: bad row"),
        (KeyboardInterrupt(), "interrupted", "KeyboardInterrupt"),
        (SystemExit(143), "interrupted", "SystemExit"),
    ],
)
def test_how_a_run_ended_is_recorded(
    small_config: Config, error: BaseException, status: str, cause: str
) -> None:
    with pytest.raises(type(error)), open_run("train", small_config) as run:
        raise error
    manifest = read_manifest(run.path)
    assert (manifest["status"], manifest["cause"]) == (status, cause)


def test_a_mistake_of_the_user_leaves_no_run(runs: Path, small_config: Config) -> None:
    with pytest.raises(UserError), open_run("train", small_config):
        raise UserError("no such file")
    assert not list(runs.iterdir())


def test_the_newest_that_succeeded_is_found(small_config: Config) -> None:
    with open_run("train", small_config) as good:
        pass
    with pytest.raises(ValueError), open_run("train", small_config):
        raise ValueError
    assert find_run("latest", "train") == good.path
    assert find_run(good.id, "train") == good.path
    with pytest.raises(UserError, match=good.id):
        find_run("nothing", "train")


def test_a_torn_manifest_is_refused(small_config: Config) -> None:
    with open_run("train", small_config) as run:
        pass
    (run.path / "manifest.json").write_text('{"status": "succ')
    with pytest.raises(UserError, match="not a readable manifest"):
        read_manifest(run.path)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    write_atomic(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomic(path, "\ud800")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file.txt"]
