"""A run: one folder under ``runs/`` with a manifest that says everything its result depends on."""

from __future__ import annotations

import datetime
import json
import os
import secrets
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..config import PROJECT_ROOT, Config
from ..errors import UserError
from . import provenance
from .files import sha256, write_atomic

SCHEMA_VERSION = 1
MANIFEST = "manifest.json"


class Run:
    """An open run. Write files below :attr:`path`; they are hashed when the run ends."""

    def __init__(self, path: Path, kind: str, config: Config) -> None:
        self.path = path
        self.id = path.name
        self.metrics: dict[str, Any] = {}
        self._inputs: dict[str, dict[str, Any]] = {}
        self._head: dict[str, Any] = {
            "schema_version": SCHEMA_VERSION,
            "id": self.id,
            "kind": kind,
            "started": _now(),
            "command": provenance.command(),
            "git": provenance.git_state(PROJECT_ROOT),
            "environment": provenance.environment(PROJECT_ROOT),
            "seeds": {"seed": config.seed, "data": getattr(config.data, "seed", None)},
            "config": config.to_dict(),
        }

    def add_input(self, path: Path, rows: int | None = None) -> None:
        """Record a file the result depends on: its size in bytes, rows and SHA-256."""
        path = path.resolve()
        name = str(path.relative_to(PROJECT_ROOT) if path.is_relative_to(PROJECT_ROOT) else path)
        size = path.stat().st_size
        self._inputs[name] = {"bytes": size, "rows": rows, "sha256": sha256(path)}

    def write_json(self, name: str, value: Any) -> None:
        """Write ``value`` below the run folder as JSON, the same bytes for the same value."""
        write_atomic(self.path / name, to_json(value))

    def save(self, status: str, cause: str | None = None) -> None:
        """Write the manifest, whole or not at all."""
        ended = status != "running"
        manifest = {
            **self._head,
            "status": status,
            "cause": cause,
            "ended": _now() if ended else None,
            "inputs": self._inputs,
            "outputs": self._outputs() if ended else {},
            "metrics": self.metrics,
        }
        self.write_json(MANIFEST, manifest)

    def _outputs(self) -> dict[str, str]:
        files = sorted(p for p in self.path.rglob("*") if p.is_file() and p.name != MANIFEST)
        return {p.relative_to(self.path).as_posix(): sha256(p) for p in files}


def runs_folder() -> Path:
    """``runs/`` of the project, or what the environment variable ``RUNS_DIR`` says."""
    return Path(os.environ.get("RUNS_DIR") or PROJECT_ROOT / "runs")


@contextmanager
def open_run(kind: str, config: Config) -> Iterator[Run]:
    """A new run folder whose manifest is written at the start and, by how the block ended, at
    the end: ``succeeded``, ``failed`` with its cause, or ``interrupted``.

    A :class:`UserError` before anything was written leaves no folder behind.
    """
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%d-%H%M%S")
    path = runs_folder() / f"{stamp}-{kind}-{secrets.token_hex(2)}"
    path.mkdir(parents=True)
    run = Run(path, kind, config)
    run.save("running")
    with _terminable():
        try:
            yield run
        except (KeyboardInterrupt, SystemExit) as error:
            run.save("interrupted", type(error).__name__)
            raise
        except BaseException as error:
            if isinstance(error, UserError) and [p.name for p in path.iterdir()] == [MANIFEST]:
                shutil.rmtree(path)
                raise
            run.save("failed", f"{type(error).__name__}: {error}")
            _point_latest(path)
            raise
        run.save("succeeded")
        _point_latest(path)


def find_run(name: str, kind: str) -> Path:
    """The folder of the run ``name`` of this ``kind``; ``latest`` is the newest that succeeded.

    Raises:
        UserError: there is no such run.
    """
    folders = sorted((p for p in runs_folder().glob(f"*-{kind}-*") if (p / MANIFEST).is_file()), reverse=True)
    for folder in folders:
        if name == folder.name:
            return folder
        if name == "latest" and read_manifest(folder)["status"] == "succeeded":
            return folder
    known = ", ".join(p.name for p in folders[:5]) or "none yet"
    raise UserError(f"no {kind} run '{name}' in {runs_folder()}. The newest: {known}.")


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of the run in ``folder``.

    Raises:
        UserError: the file is missing or not whole.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not a readable manifest ({error}).") from error
    assert isinstance(manifest, dict)
    return manifest


def to_json(value: Any) -> str:
    """JSON in the order given and without NaN, so that equal values give equal bytes."""
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


def _point_latest(path: Path) -> None:
    link = path.parent / f".latest-{path.name}"
    link.symlink_to(path.name)
    os.replace(link, path.parent / "latest")


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
