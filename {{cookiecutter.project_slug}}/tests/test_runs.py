"""Runs: a manifest from the start, a truthful end, and files that are whole or absent."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from {{cookiecutter.package_name}}.config import Config
from {{cookiecutter.package_name}}.errors import UserError
from {{cookiecutter.package_name}}.runs import (
    ManifestError,
    atomic_path,
    find_run,
    list_runs,
    open_run,
    read_manifest,
    settle,
    write_atomic,
)
from {{cookiecutter.package_name}}.runs.manifest import (
    SCHEMA,
)
from {{cookiecutter.package_name}}.runs.source import PATCH, read_source

PACKAGE = Config.__module__.split(".")[0]


def check(manifest: dict[str, Any]) -> None:
    """Against the published schema, as somebody else would."""
    schema = json.loads(SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(manifest)


# --- manifests


def test_a_manifest_says_what_a_result_depends_on(
    tmp_path: Path, runs: Path, small_config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOB_RUN", "20260101-000000-jobs-0000")
    table = tmp_path / "table.csv"
    table.write_text("x\n1\n")
    with open_run("train", small_config) as run:
        assert read_manifest(run.path)["status"] == "running"
        check(read_manifest(run.path))
        write_atomic(run.path / "model" / "model.json", "{}")
        write_atomic(run.path / "model" / "log.html", "10:30")
        write_atomic(run.path / "index.html", "10:30")
        run.records.add("*.html")
        run.add_input(table, 1, derived=True)
        run.metrics.update(auc=0.5, undefined=float("nan"))
        run.intervals["auc"] = (0.4, 0.6)
        run.model = "ab" * 32
    manifest = read_manifest(run.path)
    check(manifest)
    assert manifest["status"] == "succeeded"
    assert manifest["parent"] == "20260101-000000-jobs-0000"
    assert list(manifest["outputs"]) == ["model/model.json"]
    assert set(manifest["records"]) - {PATCH} == {"index.html", "model/log.html"}
    (entry,) = manifest["inputs"].values()
    assert (entry["bytes"], entry["rows"], entry["derived"]) == (4, 1, True)
    assert manifest["metrics"] == {"auc": 0.5, "undefined": None}
    assert manifest["intervals"] == {"auc": [0.4, 0.6]}
    assert manifest["config"]["seed"] == small_config.seed
    assert manifest["ended"] >= manifest["started"]
    assert (runs / "latest").resolve() == run.path.resolve()


def test_linear_algebra_is_recorded_when_it_was_used(small_config: Config) -> None:
    import numpy as np

    with open_run("train", small_config) as run:
        assert np.ones((2, 2)) @ np.ones(2) is not None
    found = read_manifest(run.path)["environment"]["blas"]
    assert "openblas" in [each["library"] for each in found]


@pytest.mark.parametrize(
    ("error", "status", "cause"),
    [
        (ValueError("bad row"), "failed", "ValueError: bad row"),
        (KeyboardInterrupt(), "interrupted", "KeyboardInterrupt"),
        (SystemExit(143), "interrupted", "SystemExit"),
    ],
)
def test_how_a_run_ended_is_recorded(
    small_config: Config, runs: Path, error: BaseException, status: str, cause: str
) -> None:
    with pytest.raises(type(error)), open_run("train", small_config) as run:
        raise error
    manifest = read_manifest(run.path)
    check(manifest)
    assert (manifest["status"], manifest["cause"]) == (status, cause)
    assert not list((runs / ".open").iterdir())


def test_a_mistake_of_the_user_leaves_no_run(runs: Path, small_config: Config) -> None:
    with pytest.raises(UserError), open_run("train", small_config):
        raise UserError("no such file")
    assert [path.name for path in runs.rglob("*")] == [".open"]


def test_a_damaged_manifest_is_told_from_an_edited_one(small_config: Config) -> None:
    with open_run("train", small_config) as run:
        run.metrics["auc"] = 0.5
    path = run.path / "manifest.json"
    whole = path.read_text()
    for change, fault in [
        (lambda text: text[: len(text) // 2], "torn"),
        (lambda text: "", "torn"),
        (lambda text: "[]", "torn"),
        (lambda text: text.replace('"auc": 0.5', '"auc": 0.9'), "edited"),
        (lambda text: text.replace('  "cause": null,\n', ""), "torn"),
        (lambda text: text.replace('"schema_version": 2', '"schema_version": 3'), "newer"),
    ]:
        assert change(whole) != whole
        path.write_text(change(whole))
        with pytest.raises(ManifestError) as refused:
            read_manifest(run.path)
        assert refused.value.fault == fault
    path.write_text(json.dumps(json.loads(whole), sort_keys=True))  # the same values
    assert read_manifest(run.path)["metrics"] == {"auc": 0.5}
    path.unlink()
    with pytest.raises(ManifestError, match="there is no manifest"):
        read_manifest(run.path)


# --- which run


def test_the_newest_that_succeeded_is_found(small_config: Config) -> None:
    with open_run("train", small_config) as good:
        good.model = "0123456789abcdef" * 4
    with pytest.raises(ValueError), open_run("train", small_config) as bad:
        raise ValueError
    with open_run("evaluate", small_config) as other:
        pass
    assert find_run("latest", "train") == good.path
    assert find_run(good.id, "train") == good.path
    assert find_run(good.id[:15]) == good.path
    assert find_run(good.id[-10:]) == good.path
    assert find_run("0123456789", "train") == good.path
    assert find_run(str(other.path)) == other.path
    with pytest.raises(UserError, match=f"kind {other.id[16:24]}; a train run is needed"):
        find_run(str(other.path), "train")
    with pytest.raises(UserError, match=good.id):
        find_run("nothing", "train")
    with pytest.raises(UserError, match=rf"any of 2 runs, such as {bad.id}, {good.id}\."):
        find_run("2", "train")


def test_runs_are_in_order_whatever_the_clock_says(runs: Path, small_config: Config) -> None:
    with open_run("train", small_config):
        pass
    ahead = runs / "20991231-235959-train-ffff"
    shutil.copytree(list_runs()[0], ahead)
    started = []
    for _ in range(3):
        with open_run("train", small_config) as run:
            started.append(run.path)
    assert list_runs()[:4] == [*reversed(started), ahead]
    assert find_run("latest", "train") == started[-1]


# --- runs whose process was killed

KILLED = """
import os, signal
from {package}.config import load_config
from {package}.runs import open_run
with open_run("jobs", load_config()) as run:
    run.write_json("jobs.json", [dict(job=s, status=s, cause=None) for s in {states}])
    (run.path / ".partial" / "a").mkdir(parents=True)
    (run.path / ".writing-abc.json").write_text("half")
    print(run.id, flush=True)
    {end}
"""
STATES = ("succeeded", "running", "waiting")


def start_killed(end: str = "os.kill(os.getpid(), signal.SIGKILL)") -> subprocess.Popen[str]:
    code = KILLED.format(package=PACKAGE, states=STATES, end=end)
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def test_a_killed_run_is_told_by_the_next(runs: Path, small_config: Config) -> None:
    killed, _ = start_killed().communicate()
    folder = runs / killed.strip()
    assert read_manifest(folder)["status"] == "running"
    with open_run("train", small_config):
        pass
    manifest = read_manifest(folder)
    check(manifest)
    assert manifest["status"] == "killed"
    assert manifest["cause"] == "its process ended without a word"
    entries = json.loads((folder / "jobs.json").read_text())
    assert [entry["status"] for entry in entries] == ["succeeded", "killed", "skipped"]
    assert entries[0]["cause"] is None and all(entry["cause"] for entry in entries[1:])
    assert {p.name for p in folder.iterdir()} - {PATCH} == {"manifest.json", "jobs.json"}
    assert not list((runs / ".open").iterdir())


def test_a_run_that_is_open_is_left_alone(runs: Path) -> None:
    process = start_killed("import time; time.sleep(60)")
    assert process.stdout
    folder = runs / process.stdout.readline().strip()
    try:
        assert settle() == []
        assert read_manifest(folder)["status"] == "running"
        assert (folder / ".partial").is_dir()
    finally:
        process.kill()
        process.communicate()
    assert settle() == [folder.name]
    assert settle() == []


# --- what differs from the commit


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@b.c"]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, capture_output=True, check=True
    )
    return done.stdout.decode()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "a repository: 'ü'"
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    (root / ".gitignore").write_text("ignored\nruns/\n")
    for name in ("kept", "changed", "deleted", "renamed", "run.sh", "ümlaut name"):
        (root / name).write_text(f"{name}\n" * 3)
    (root / "binary").write_bytes(bytes(range(256)))
    git(root, "add", "-A")
    git(root, "commit", "-qm", "first")
    return root


def content(root: Path) -> dict[str, tuple[bytes, bool]]:
    return {
        path.relative_to(root).as_posix(): (
            os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes(),
            os.access(path, os.X_OK),
        )
        for path in root.rglob("*")
        if not {".git", "ignored", "runs", "results"} & set(path.relative_to(root).parts)
        and (path.is_symlink() or path.is_file())
    }


def everything(root: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in (root / ".git").rglob("*") if p.is_file()}


def test_no_change_is_no_patch(repository: Path) -> None:
    (repository / "ignored").write_text("x")
    (repository / "results").mkdir()
    (repository / "results" / "of a run").write_text("x")
    source = read_source(repository, repository / "results")
    assert source.patch is None
    assert source.facts == {
        "commit": git(repository, "rev-parse", "HEAD").strip(),
        "dirty": False,
        "diff_sha256": None,
        "patch": None,
        "patch_omitted": None,
    }


def test_no_repository_is_no_commit(tmp_path: Path) -> None:
    assert set(read_source(tmp_path, tmp_path).facts.values()) == {None}
    git(tmp_path, "init", "-q")
    assert set(read_source(tmp_path, tmp_path).facts.values()) == {None}


def test_a_patch_brings_every_change_back(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository / "changed").write_text("changed\nand more, without an end of line")
    (repository / "deleted").unlink()
    git(repository, "mv", "renamed", "new name")
    (repository / "run.sh").chmod(0o755)
    (repository / "binary").write_bytes(bytes(range(255, -1, -1)))
    (repository / "ümlaut name").write_bytes(b"windows\r\nline ends\r\n")
    (repository / "folder").mkdir()
    (repository / "folder" / "new 'ß'\t.bin").write_bytes(os.urandom(999))
    (repository / "empty").write_text("")
    (repository / "link").symlink_to("kept")
    (repository / "ignored").write_text("x")
    (repository / "runs").mkdir()
    (repository / "runs" / "result").write_text("x")
    (repository / "staged").write_text("staged")
    git(repository, "add", "staged")
    (repository / "staged").write_text("changed again")
    for setting in ("diff.noprefix", "diff.mnemonicPrefix", "core.splitIndex"):
        git(repository, "config", setting, "true")
    before = everything(repository)
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "of a hook"))

    source = read_source(repository, repository / "runs")

    monkeypatch.delenv("GIT_INDEX_FILE")
    assert everything(repository) == before
    assert (source.facts["dirty"], source.facts["patch"]) == (True, PATCH)
    assert source.patch is not None
    (tmp_path / PATCH).write_bytes(source.patch)
    fresh = tmp_path / "fresh"
    git(tmp_path, "clone", "-q", str(repository), str(fresh))
    git(fresh, "apply", "--binary", str(tmp_path / PATCH))
    assert content(fresh) == content(repository)


def test_a_change_that_cannot_be_stored_is_told_why(repository: Path) -> None:
    inner = repository / "inner"
    inner.mkdir()
    git(inner, "init", "-q")
    assert "commit" in read_source(repository, repository).facts["patch_omitted"]
    (inner / "file").write_text("x")
    git(inner, "add", "-A")
    git(inner, "commit", "-qm", "first")
    assert "a repository inside" in read_source(repository, repository).facts["patch_omitted"]
    shutil.rmtree(inner)
    (repository / "large").write_bytes(os.urandom(21_000_000))
    facts = read_source(repository, repository).facts
    assert (facts["dirty"], facts["patch"]) == (True, None)
    assert facts["patch_omitted"].endswith("MB; at most 20 MB are stored")
    with (repository / "large").open("wb") as file:
        file.truncate(10**10)  # takes no room, and would take a minute to read
    assert read_source(repository, repository).facts["patch_omitted"].startswith("the changes are")


# --- whole or absent


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    write_atomic(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomic(path, "\ud800")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file.txt"]


def mount(*arguments: str) -> None:
    command = ["mount", *arguments]
    if not shutil.which("mount") or subprocess.run(command, check=False).returncode:
        pytest.skip("a file system can only be mounted by root on Linux")


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file system of its own with room for 64 kB, where runs go, without a repository."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount("-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder))
    monkeypatch.setenv("RUNS_DIR", str(folder))
    monkeypatch.setattr(f"{PACKAGE}.runs.run.PROJECT_ROOT", folder)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_leaves_the_old_file(small_disk: Path) -> None:
    path = small_disk / "file.bin"
    write_atomic(path, b"old")
    with pytest.raises(UserError, match=r"disk: the disk is full\. Make room"):
        write_atomic(path, bytes(100_000))
    # A library has errors of its own.
    with pytest.raises(UserError, match="the disk is full"), atomic_path(path) as temporary:
        try:
            temporary.write_bytes(bytes(100_000))
        except OSError as error:
            raise RuntimeError("could not write") from error
    assert path.read_bytes() == b"old"
    assert [p.name for p in small_disk.iterdir()] == ["file.bin"]


def fill(folder: Path) -> Path:
    """Leave no room on a disk."""
    path = folder / "filling"
    with pytest.raises(OSError) as full, path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    assert full.value.errno == errno.ENOSPC
    return path


def test_a_run_that_a_full_disk_ended_is_told_later(small_disk: Path, small_config: Config) -> None:
    full = pytest.raises(UserError, match="the disk is full")
    with full, open_run("train", small_config) as run:
        write_atomic(run.path / "one", b"x")
        filling = fill(small_disk)
        write_atomic(run.path / "two", bytes(4096))
    assert read_manifest(run.path)["status"] == "running"
    filling.unlink()
    assert settle() == [run.id]
    assert read_manifest(run.path)["status"] == "killed"


def test_a_run_that_has_no_room_to_begin_leaves_nothing(
    small_disk: Path, small_config: Config
) -> None:
    (small_disk / ".open").mkdir()
    filling = fill(small_disk)
    refused = pytest.raises(UserError, match="the disk is full")
    with refused, open_run("train", small_config):
        pass
    filling.unlink()
    settle()
    assert [path.name for path in small_disk.rglob("*")] == [".open"]


def test_a_runs_folder_that_cannot_be_written_is_named(
    tmp_path: Path, small_config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a file").write_text("")
    monkeypatch.setenv("RUNS_DIR", str(tmp_path / "a file"))
    refused = pytest.raises(UserError, match="a file: cannot be written")
    with refused, open_run("train", small_config):
        pass


def test_a_read_only_disk_is_named(small_disk: Path, small_config: Config) -> None:
    with open_run("train", small_config) as run:
        pass
    mount("-o", "remount,ro", str(small_disk))
    refused = pytest.raises(UserError, match=r"disk.*: cannot be written \(Read-only")
    with refused, open_run("train", small_config):
        pass
    assert settle() == []
    assert find_run("latest", "train") == run.path


def test_a_killed_writer_leaves_the_old_file_and_a_leftover(tmp_path: Path, runs: Path) -> None:
    path = runs / "file.txt"
    write_atomic(path, "old")
    code = f"""
import os, pathlib, signal
from {PACKAGE}.runs import atomic_path
with atomic_path(pathlib.Path({str(path)!r})) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    assert path.read_text() == "old"
    assert sorted(p.name[:9] for p in runs.iterdir()) == [".writing-", "file.txt"]


def test_two_that_end_at_once_leave_a_latest(runs: Path) -> None:
    code = """
import pathlib, sys
from PACKAGE.runs.run import _point_latest
for number in range(200):
    _point_latest(pathlib.Path(sys.argv[1]) / (sys.argv[2] + str(number)))
""".replace("PACKAGE", PACKAGE)
    runs.mkdir()
    ends = [subprocess.Popen([sys.executable, "-c", code, str(runs), name]) for name in "ab"]
    seen = set()
    while any(process.poll() is None for process in ends):
        if seen or (runs / "latest").is_symlink():
            seen.add((runs / "latest").readlink().name[0])
    assert [process.returncode for process in ends] == [0, 0]
    assert [path.name for path in runs.iterdir()] == ["latest"]
