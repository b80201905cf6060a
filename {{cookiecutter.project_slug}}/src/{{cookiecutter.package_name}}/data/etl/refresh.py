"""Partitions that are made once: after a kill or a late arrival, only what is missing.

The state of a table's folder is ``table.json``. A partition's file is named by what it was made of,
so a file is never changed, and a killed run leaves nothing that the next one could take for done.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...progress import track
from ...runs.files import WRITING, atomic_path, make_folder, write_atomic
from ...runs.locks import hold, let_go, read_owner
from ..sources.base import Part, digest

STATE = "table.json"
_EVERY = 1.0  # seconds between two writings of the state: what a kill costs at most


@dataclass(frozen=True)
class Done:
    """A partition that has been made: of what, into which file, and what is known about it."""

    version: str
    recipe: str
    file: str
    size: int
    facts: dict[str, Any]


def refresh(
    folder: Path,
    parts: Sequence[Part],
    recipe: str,
    make: Callable[[Part, Path], dict[str, Any]],
    doing: str,
) -> dict[str, Done]:
    """Bring the Parquet files in ``folder`` up to date with ``parts``, and say what is there.

    ``make(part, path)`` writes the rows of a part to ``path`` and returns facts about them, plain
    values. It must depend on the part's version and on ``recipe`` alone: a part is made again when
    either has changed. Files of parts that are gone are removed. Whoever gets to a folder that
    another process works on waits for it.
    """
    done = _current(folder, parts, recipe)
    if len(done) == len(parts) and _tidy(folder, done):
        return done
    with locked(folder):
        done = _current(folder, parts, recipe)
        missing = [part for part in parts if part.name not in done]
        written = time.monotonic()
        for part in track(missing, doing):
            name = file_of(part, recipe)
            with atomic_path(folder / name, synced=False) as temporary:
                facts = make(part, temporary)
                size = temporary.stat().st_size
            done[part.name] = Done(part.version, recipe, name, size, facts)
            if time.monotonic() > written + _EVERY:
                # Parts that are still to come keep what is known of them from the last run.
                _write(folder, {**read_state(folder)[0], **done})
                written = time.monotonic()
        done = {part.name: done[part.name] for part in parts}
        _write(folder, done)
        _clear(folder, done)
    return done


def read_state(folder: Path) -> tuple[dict[str, Done], dict[str, Any]]:
    """The partitions in ``folder``, and what else has been noted there; empty for a new folder."""
    try:
        state = json.loads((folder / STATE).read_bytes())
        return {name: Done(**done) for name, done in state["parts"].items()}, state["more"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}, {}  # none, or of another version of this code: made anew


def file_of(part: Part, recipe: str) -> str:
    """The name of the file that ``recipe`` makes of ``part``."""
    return f"{part.name}-{digest(part.version, recipe)[:12]}.parquet"


def keep(folder: Path, **more: Any) -> None:
    """Note ``more`` beside the partitions, as plain values."""
    with locked(folder):
        parts, known = read_state(folder)
        if (both := {**known, **more}) != known:
            _write(folder, parts, both)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Work on ``folder`` alone; wait where another process does."""
    make_folder(folder.parent)
    path = folder.parent / f".{folder.name}.lock"
    told = False
    while (handle := hold(path, f"ingest-{os.getpid()}")) is None:
        if not told and sys.stderr.isatty():
            print(f"waiting for process {read_owner(path).get('pid')}: {folder}", file=sys.stderr)
        told = True
        time.sleep(0.05)
    try:
        yield
    finally:
        let_go(handle)


def _current(folder: Path, parts: Sequence[Part], recipe: str) -> dict[str, Done]:
    """The parts that are as they should be."""
    known, _ = read_state(folder)
    return {
        part.name: done
        for part in parts
        if (done := known.get(part.name))
        and (done.version, done.recipe) == (part.version, recipe)
        and _size(folder / done.file) == done.size
    }


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _write(folder: Path, parts: Mapping[str, Done], more: Mapping[str, Any] | None = None) -> None:
    if more is None:
        more = read_state(folder)[1]
    state = {"parts": {name: asdict(done) for name, done in parts.items()}, "more": dict(more)}
    write_atomic(folder / STATE, json.dumps(state, indent=1) + "\n")


def _strangers(folder: Path, done: Mapping[str, Done]) -> list[Path]:
    """Partitions that belong to none any more: gone, replaced, or left half by a kill."""
    ours = {each.file for each in done.values()}
    return [
        path
        for path in folder.iterdir()
        if path.name not in ours and (path.suffix == ".parquet" or path.name.startswith(WRITING))
    ]


def _tidy(folder: Path, done: Mapping[str, Done]) -> bool:
    return list(read_state(folder)[0]) == list(done) and not _strangers(folder, done)


def _clear(folder: Path, done: Mapping[str, Done]) -> None:
    for path in _strangers(folder, done):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
