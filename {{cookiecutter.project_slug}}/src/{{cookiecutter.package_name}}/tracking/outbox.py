"""Which runs are still to be sent, and what became of the others.

A run waits when its manifest says ``tracking.name=mlflow``, that it has ended, and no note beside
it says that it was sent. So a run whose process was killed waits as well, and a full disk keeps
none from doing so.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from ..config.tracking import TrackingConfig
from ..runs import list_runs, read_manifest, runs_folder, write_atomic
from ..runs.manifest import MANIFEST, RUNNING, ManifestError

FOLDER = ".tracking"  # below the runs folder: the embedded store, and what senders say
NOTE = ".tracking.json"  # below a run: its parent, and where it was sent
LOCK = "sender"
LOG = "sender.log"
TROUBLE = "trouble.json"
EMBEDDED = "embedded"


def folder() -> Path:
    """Where the embedded store and the sender keep their files."""
    return runs_folder().resolve() / FOLDER


def place(config: TrackingConfig) -> str:
    """What names a store in notes: its address."""
    return config.uri or EMBEDDED


def settings(manifest: dict[str, Any]) -> TrackingConfig | None:
    """Where the run of ``manifest`` is to be sent; None when it is to stay here."""
    known = {each.name for each in fields(TrackingConfig)}
    found = manifest["config"].get("tracking") or {}
    config = TrackingConfig(**{key: value for key, value in found.items() if key in known})
    return None if config.name == "none" else config


def note(run: Path) -> dict[str, Any]:
    """What is noted beside a run; empty when nothing is, or it cannot be read."""
    with contextlib.suppress(OSError, ValueError):
        found = json.loads((run / NOTE).read_bytes())
        if isinstance(found, dict):
            return found
    return {}


def remark(run: Path, **values: Any) -> None:
    """Add to what is noted beside a run.

    Raises:
        UserError: it cannot be written.
    """
    text = json.dumps(note(run) | values, indent=1, sort_keys=True) + "\n"
    write_atomic(run / NOTE, text, synced=False)


def mark(run: Path, where: str, **outcome: Any) -> None:
    """Note what came of sending a run to the store ``where``."""
    remark(run, stores={**(note(run).get("stores") or {}), where: outcome})


def outcome(run: Path, where: str) -> dict[str, Any]:
    """What came of sending a run to ``where``: ``state`` is ``sent`` or ``refused``;
    empty when it waits."""
    found = (note(run).get("stores") or {}).get(where)
    return found if isinstance(found, dict) else {}


class Outbox:
    """The runs of the runs folder, each read once as long as it does not change."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, TrackingConfig | None]] = {}

    def tracked(self) -> Iterator[tuple[Path, TrackingConfig]]:
        """Runs that have ended and are to be sent, or were, the oldest first."""
        for run in reversed(list_runs()):
            with contextlib.suppress(OSError):
                changed = (run / MANIFEST).stat().st_mtime_ns
                if self._seen.get(run.name, (None,))[0] != changed:
                    self._seen[run.name] = changed, self._read(run)
                if (config := self._seen[run.name][1]) is not None:
                    yield run, config

    def waiting(self, again: bool = False) -> list[tuple[Path, TrackingConfig]]:
        """Those to be sent, the oldest first; ``again`` with those that a store refused."""
        done = ("sent",) if again else ("sent", "refused")
        found = []
        for run, config in self.tracked():
            if outcome(run, place(config)).get("state") not in done:
                found.append((run, config))
        return found

    def _read(self, run: Path) -> TrackingConfig | None:
        # Most runs of most projects are not to be sent: no need to read what they say.
        if b'"mlflow"' not in (run / MANIFEST).read_bytes():
            return None
        try:
            manifest = read_manifest(run)
            return None if manifest["status"] == RUNNING else settings(manifest)
        except (ManifestError, TypeError):
            return None


def trouble() -> dict[str, Any]:
    """Why the newest try to send did not get through: ``since``, ``where`` and ``why``."""
    with contextlib.suppress(OSError, ValueError):
        found = json.loads((folder() / TROUBLE).read_bytes())
        if isinstance(found, dict) and {"since", "where", "why"} <= set(found):
            return found
    return {}


def set_trouble(found: dict[str, Any] | None) -> None:
    """Remember why nothing gets through, or that all is well."""
    with contextlib.suppress(OSError):
        if found is None:
            (folder() / TROUBLE).unlink(missing_ok=True)
        else:
            write_atomic(folder() / TROUBLE, json.dumps(found), synced=False)
