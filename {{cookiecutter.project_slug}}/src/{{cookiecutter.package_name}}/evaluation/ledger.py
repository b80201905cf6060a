"""How often test rows have been looked at: each look at them, and each choice that follows, makes
their figures a little too good (Dwork et al., "The reusable holdout", 2015).

The ledger is a file of JSON lines in the runs folder that is only ever added to. It is no part of a
run: the same run again gives the same bytes, and another line here.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..data.examples import Examples
from ..errors import UserError
from ..runs.files import make_folder, runs_folder, unwritable
from ..training.duplicates import fingerprints
from ..training.splits import Rows, Split

LEDGER = ".ledger.jsonl"
_FIELDS = {"time", "run", "rows", "data", "model", "sizes"}


@dataclass(frozen=True)
class Looks:
    """How often some test rows have been looked at, this time included."""

    looks: int
    models: int  # different ones; the same model again is one
    damaged: int = 0  # lines of the ledger that cannot be read, and may be more looks

    def describe(self) -> str:
        """One sentence for a terminal."""
        if self.looks == 1:
            told = "this is the first look at these test rows"
        else:
            models = "1 model" if self.models == 1 else f"{self.models} models"
            told = f"these test rows have been looked at {self.looks} times, for {models}"
            if self.models > 1:
                told += "; each further look makes the figures a little too good"
        if self.damaged:
            lines = "1 line" if self.damaged == 1 else f"{self.damaged} lines"
            told += f" ({lines} of {path()} cannot be read and may be more)"
        return told


def path() -> Path:
    """Where the ledger is."""
    return runs_folder() / LEDGER


def look(examples: Examples, split: Split, model: str, run: str) -> Looks:
    """Record that the model of the fingerprint ``model`` is judged on the test rows in the run
    ``run``, and return how often they have been looked at.

    Raises:
        UserError: the ledger cannot be written.
    """
    entry = {
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "run": run,
        "rows": identity(examples, split.test),
        "data": version(examples, split.test),
        "model": model,
        "sizes": {name: len(rows) for name, rows in split.parts().items()},
    }
    with _locked() as file:
        kept, damaged = _entries(os.pread(file, os.fstat(file).st_size, 0))
        _append(file, entry)
    same = [each for each in kept if each["rows"] == entry["rows"]] + [entry]
    return Looks(len(same), len({each["model"] for each in same}), damaged)


def identity(examples: Examples, rows: Rows) -> str:
    """16 hexadecimal digits that name these rows by key and target: whatever features a model is
    given, it is judged by the same rows."""
    schema = examples.schema
    return _digest(examples, rows, [*schema.key, schema.target])


def version(examples: Examples, rows: Rows) -> str:
    """16 hexadecimal digits that name these rows by key, target and features; in any order of
    columns, and whatever other columns there are."""
    schema = examples.schema
    return _digest(examples, rows, [*schema.key, schema.target, *schema.features])


def _digest(examples: Examples, rows: Rows, columns: list[str]) -> str:
    schema = examples.schema
    names = sorted(set(columns))
    found = fingerprints(examples.frame, names, rows, exact=True)
    found.sort()  # in any order of rows, too
    digest = hashlib.sha256(json.dumps([names, schema.target, schema.classes]).encode())
    digest.update(found.astype("<u8").tobytes())
    return digest.hexdigest()[:16]


def _entries(content: bytes) -> tuple[list[dict[str, Any]], int]:
    """The lines that can be read, and how many cannot, such as that of a killed writer."""
    kept, damaged = [], 0
    for line in content.splitlines():
        entry = None
        with contextlib.suppress(ValueError):
            entry = json.loads(line)
        if isinstance(entry, dict) and set(entry) >= _FIELDS:
            kept.append(entry)
        elif line.strip():
            damaged += 1
    return kept, damaged


def _append(file: int, entry: dict[str, Any]) -> None:
    """Add a line with one write; after a line that a killed writer left unfinished, a new one."""
    size = os.fstat(file).st_size
    unfinished = size > 0 and os.pread(file, 1, size - 1) != b"\n"
    line = b"\n" * unfinished + json.dumps(entry, sort_keys=True).encode() + b"\n"
    try:
        while line:
            line = line[os.write(file, line) :]
        os.fsync(file)
    except OSError as error:
        raise unwritable(error, path().parent) from error


@contextmanager
def _locked() -> Iterator[int]:
    """The ledger, open to be read and added to, while nobody else adds to it.

    The system gives the lock back when its holder dies; holders take milliseconds.
    """
    make_folder(path().parent)
    try:
        file = os.open(path(), os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise unwritable(error, path().parent) from error
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            raise UserError(
                f"{path().parent}: its file system knows no locks ({error.strerror}). "
                "Let the environment variable RUNS_DIR name a folder on another one."
            ) from error
        yield file
    finally:
        os.close(file)


__all__ = ["LEDGER", "Looks", "identity", "look", "path", "version"]
