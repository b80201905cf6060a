"""A run: one folder under ``runs/`` with a manifest that says everything its result depends on."""

from __future__ import annotations

import contextlib
import datetime
import json
import math
import os
import re
import secrets
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ..config import PROJECT_ROOT, Config
from ..errors import UserError, nearest
from . import locks, provenance
from .files import leftovers, make_folder, runs_folder, sha256, write_atomic
from .manifest import (
    FAILED,
    INTERRUPTED,
    KILLED,
    MANIFEST,
    RUNNING,
    SCHEMA_VERSION,
    SUCCEEDED,
    ManifestError,
    read_manifest,
    to_json,
    write_manifest,
)
from .source import PATCH, Source, read_source

OPEN = ".open"  # below the runs folder: a locked file for each run that is under way
JOBS = "jobs.json"  # below a run of jobs: what became of each
PARTIAL = ".partial"  # below a run: what its jobs have not finished
NAME = re.compile(r"(?P<stamp>\d{8}-\d{6})-(?P<kind>[a-z_]+)-[0-9a-f]{4,}")
STAMP = "%Y%m%d-%H%M%S"


class Run:
    """An open run. Write files below :attr:`path`; they are hashed when the run ends.

    Attributes:
        metrics: numbers by name, for lists and comparisons.
        intervals: lower and upper bound of metrics, by the same names.
        model: the fingerprint of the model the run made or judged, if any.
        records: patterns of the files that tell of this run, such as of times, and need not come
            out the same when it is replayed; all other files must. ``*`` stands for any text, also
            with ``/`` in it.
    """

    def __init__(self, path: Path, kind: str, config: Config, source: Source) -> None:
        self.path = path
        self.id = path.name
        self.metrics: dict[str, Any] = {}
        self.intervals: dict[str, tuple[float, float]] = {}
        self.model: str | None = None
        self.records: set[str] = {PATCH}
        self._inputs: dict[str, dict[str, Any]] = {}
        self._began = time.monotonic()
        self._started = datetime.datetime.now(datetime.UTC)
        self._head: dict[str, Any] = {
            "schema_version": SCHEMA_VERSION,
            "id": self.id,
            "kind": kind,
            "parent": os.environ.get("JOB_RUN") or None,
            "started": _iso(self._started),
            "command": provenance.command(),
            "git": source.facts,
            "environment": provenance.environment(PROJECT_ROOT),
            "seeds": {"seed": config.seed, "data": getattr(config.data, "seed", None)},
            "config": config.to_dict(),
        }

    def add_input(self, path: Path, rows: int | None = None, derived: bool = False) -> None:
        """Record a file the result depends on: its size in bytes, rows and SHA-256.

        ``derived`` says that the same code and configuration make it again when it is missing.
        """
        path = path.resolve()
        name = str(path.relative_to(PROJECT_ROOT) if path.is_relative_to(PROJECT_ROOT) else path)
        self._inputs[name] = {
            "bytes": path.stat().st_size,
            "rows": rows,
            "sha256": sha256(path),
            "derived": derived,
        }

    def write_json(self, name: str, value: Any) -> None:
        """Write ``value`` below the run folder as JSON, the same bytes for the same value."""
        write_atomic(self.path / name, to_json(value))

    def save(self, status: str, cause: str | None = None) -> None:
        """Write the manifest, whole or not at all."""
        ended = status != RUNNING
        outputs, records = self._files() if ended else ({}, {})
        # By a clock that nobody sets, so that no run ends before it started.
        passed = datetime.timedelta(seconds=time.monotonic() - self._began)
        environment = {**self._head["environment"], "blas": provenance.blas() if ended else []}
        manifest = {
            **self._head,
            "environment": environment,
            "status": status,
            "cause": cause,
            "ended": _iso(self._started + passed) if ended else None,
            "inputs": self._inputs,
            "outputs": outputs,
            "records": records,
            "metrics": {name: _defined(value) for name, value in self.metrics.items()},
            "intervals": {
                name: [_defined(bound) for bound in bounds]
                for name, bounds in self.intervals.items()
            },
            "model": self.model,
        }
        write_manifest(self.path, manifest)

    def _files(self) -> tuple[dict[str, str], dict[str, str]]:
        """The hashes of the files that a replay must give again, and of those it need not."""
        found: tuple[dict[str, str], dict[str, str]] = ({}, {})
        for path in sorted(self.path.rglob("*")):
            name = path.relative_to(self.path).as_posix()
            # Names with a dot before them are of work that is not finished.
            if path.is_file() and name != MANIFEST and not re.search(r"(?:\A|/)\.", name):
                is_record = any(fnmatchcase(name, pattern) for pattern in self.records)
                found[is_record][name] = sha256(path)
        return found


@contextmanager
def open_run(kind: str, config: Config) -> Iterator[Run]:
    """A new run folder whose manifest is written at the start and, by how the block ended, at
    the end: ``succeeded``, ``failed`` with its cause, or ``interrupted``.

    A :class:`UserError` before anything was written leaves no folder behind. A run whose process
    was killed is told to have been by the next one, see :func:`settle`.

    Raises:
        UserError: the runs folder cannot be written.
    """
    settle()
    source = read_source(PROJECT_ROOT, runs_folder())
    path, lock = _new_folder(kind)
    told = False  # whether the manifest says how it ended
    try:
        run = _begin(path, kind, config, source)
        with _terminable():
            try:
                yield run
                run.save(SUCCEEDED)
                _tell_job(run.id)
            except (KeyboardInterrupt, SystemExit) as error:
                run.save(INTERRUPTED, type(error).__name__)
                told = True
                raise
            except BaseException as error:
                if not (isinstance(error, UserError) and _is_empty(path)):
                    run.save(FAILED, f"{type(error).__name__}: {error}")
                    told = True
                    _point_latest(path)
                raise
            told = True
            _point_latest(path)
    finally:
        if not told and _is_empty(path):
            shutil.rmtree(path, ignore_errors=True)
            told = True
        if told:
            locks.release(runs_folder() / OPEN / path.name, lock)
        else:  # it could not be written down, such as on a full disk: `settle` will
            locks.let_go(lock)
        if told and path.is_dir():
            for section in config.stage.values():
                section.run_ended(path)


def settle() -> list[str]:
    """Say of each run whose process is gone without a word that it was killed; their ids.

    Its jobs that were running were killed too, those that were waiting are skipped, and what it
    left unfinished is removed. Costs next to nothing as long as no run is open.
    """
    root = runs_folder()
    found = []
    for lock in sorted((root / OPEN).glob("*")):
        with contextlib.suppress(OSError, UserError), locks.abandoned(lock) as free:
            if free:
                folder = root / lock.name
                if (folder / MANIFEST).is_file():
                    _tell_killed(folder)
                elif folder.is_dir():  # killed before it began
                    shutil.rmtree(folder)
                # Only now: killed in between, the next call takes all steps again.
                lock.unlink(missing_ok=True)
                found.append(lock.name)
    return found


def find_run(name: str, kind: str | None = None) -> Path:
    """The folder of the run ``name`` of this ``kind``, or of any kind.

    ``name`` is an id, the beginning or the end of one when no other has it, ``latest`` for the
    newest that succeeded, a path to a run folder, or the first eight or more digits of the
    fingerprint of the model that a training run made.

    Raises:
        UserError: there is no such run, or there are several.
    """
    what = f"{kind} run" if kind else "run"
    if "/" in name or (not NAME.fullmatch(name) and (Path(name) / MANIFEST).is_file()):
        folder = Path(name)
        found = read_manifest(folder)["kind"]
        if kind not in (None, found):
            raise UserError(f"{folder}: this is a run of kind {found}; a {what} is needed.")
        return folder.resolve()
    folders = list_runs(kind)
    if name == "latest":
        for folder in folders:
            if read_manifest(folder)["status"] == SUCCEEDED:
                return folder
    by_id = {folder.name: folder for folder in folders}
    if name in by_id:
        return by_id[name]
    fitting = [f for f in folders if name and (f.name.startswith(name) or f.name.endswith(name))]
    if not fitting and re.fullmatch(r"[0-9a-f]{8,64}", name):
        fitting = [f for f in list_runs(kind or "train") if _model(f).startswith(name)][:1]
    if len(fitting) > 1:
        some = ", ".join(folder.name for folder in fitting[:5])
        raise UserError(f"'{name}' may be any of {len(fitting)} runs, such as {some}. Write more.")
    if not fitting:
        known = ", ".join(folder.name for folder in folders[:5]) or "none yet"
        raise UserError(
            f"no {what} '{name}' in {runs_folder()}. The newest: {known}.{nearest(name, by_id)}"
        )
    return fitting[0]


def list_runs(kind: str | None = None) -> list[Path]:
    """The folders of the runs of this ``kind``, or of all, the newest first."""
    root = runs_folder()
    names = [path.name for path in root.iterdir()] if root.is_dir() else []
    named = [found for name in names if (found := NAME.fullmatch(name))]
    wanted = sorted((m[0] for m in named if kind in (None, m["kind"])), reverse=True)
    return [root / name for name in wanted if (root / name / MANIFEST).is_file()]


def is_open(run: str) -> bool:
    """Whether the process of the run with this id is still at it."""
    return locks.is_held(runs_folder() / OPEN / run)


def _new_folder(kind: str) -> tuple[Path, int]:
    """An empty run folder and the lock that says it is under way."""
    root = runs_folder()
    make_folder(root)
    while True:
        run = f"{_stamp(root)}-{kind}-{secrets.token_hex(2)}"
        # The lock first, so that nobody takes the folder for that of a killed run.
        if (lock := locks.hold(root / OPEN / run, run)) is None:
            continue
        try:
            (root / run).mkdir()
        except FileExistsError:
            locks.release(root / OPEN / run, lock)
            continue
        except BaseException:
            locks.release(root / OPEN / run, lock)
            raise
        return root / run, lock


def _begin(path: Path, kind: str, config: Config, source: Source) -> Run:
    """The run in an empty folder, with what is known about it written down."""
    if source.patch is not None:
        write_atomic(path / PATCH, source.patch)
    run = Run(path, kind, config, source)
    run.save(RUNNING)
    return run


def _is_empty(path: Path) -> bool:
    """Whether a run has written nothing of its own."""
    return not path.is_dir() or {each.name for each in path.iterdir()} <= {MANIFEST, PATCH}


def _stamp(root: Path) -> str:
    """Now, or a second after the newest run: so the order of names is the order of starts, whatever
    the clock says and however quickly runs follow each other."""
    now = datetime.datetime.now(datetime.UTC).strftime(STAMP)
    stamps = (m["stamp"] for path in root.iterdir() if (m := NAME.fullmatch(path.name)))
    newest = max(stamps, default="")
    if now > newest:
        return now
    try:
        after = datetime.datetime.strptime(newest, STAMP) + datetime.timedelta(seconds=1)
    except (ValueError, OverflowError):  # a folder with digits that are no time
        return now
    return after.strftime(STAMP)


def _tell_killed(folder: Path) -> None:
    shutil.rmtree(folder / PARTIAL, ignore_errors=True)
    for path in leftovers(folder, age=0):
        path.unlink(missing_ok=True)
    jobs = folder / JOBS
    with contextlib.suppress(FileNotFoundError, ValueError, LookupError, TypeError):
        entries = json.loads(jobs.read_bytes())
        for entry in entries:
            if entry["status"] == RUNNING:
                entry.update(status=KILLED, cause="the process of its run ended without a word")
            elif entry["status"] == "waiting":
                entry.update(status="skipped", cause="the run was killed before it could start")
        write_atomic(jobs, to_json(entries))
    with contextlib.suppress(ManifestError):
        manifest = read_manifest(folder)
        if manifest["status"] == RUNNING:
            # Nobody knows when it ended, and nobody vouches for its files.
            told = {"status": KILLED, "cause": "its process ended without a word"}
            write_manifest(folder, manifest | told)


def _tell_job(run: str) -> None:
    """Let the job that made this run know, if one did: its result stands as long as the run."""
    if folder := os.environ.get("JOB_FOLDER"):
        with contextlib.suppress(OSError), Path(folder, "runs").open("a") as file:
            file.write(f"{run}\n")


def _model(folder: Path) -> str:
    try:
        return read_manifest(folder).get("model") or ""
    except ManifestError:
        return ""


def _defined(value: Any) -> Any:
    """JSON has no word for a number that is not one, such as a ratio of nothing."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _iso(when: datetime.datetime) -> str:
    return when.isoformat(timespec="milliseconds")


def _point_latest(path: Path) -> None:
    """Let ``runs/latest`` lead to the run; never without a target, whoever else does so."""
    link = path.parent / f".latest-{path.name}"
    try:
        link.symlink_to(path.name)
        link.replace(path.parent / "latest")
    except OSError as error:  # no reason for a run that succeeded to fail
        link.unlink(missing_ok=True)
        print(f"{path.parent / 'latest'}: cannot be made ({error.strerror}).", file=sys.stderr)


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM ends the block as an exception, so that the manifest tells of it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
