"""Who works on what: locks that the system itself releases when their owner dies.

A lock is an ``flock`` on a file, so it ends with its process however that ends, and none is ever
stale. The file says in JSON who holds it: owner (the id of a run), pid, host and since when.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import UserError
from .files import make_folder, runs_folder, unwritable

LOCKS = ".locks"
PATIENCE = 0.5  # seconds: how long nobody holds a lock without having written a name into it

_held: set[int] = set()


def _forget() -> None:
    """A fork shares the locks of its parent: they would outlive the parent with it."""
    for handle in _held:
        os.close(handle)
    _held.clear()


os.register_at_fork(after_in_child=_forget)


class Busy(UserError):
    """Somebody else works on it; the message says who. Trying again later may succeed."""

    status = 75  # EX_TEMPFAIL of sysexits.h


@contextmanager
def claim(targets: Mapping[str, str], owner: str) -> Iterator[None]:
    """Hold all ``targets`` (name -> what it is, for a person) for the length of the block, or none.

    ``owner`` is the id of the run that is going to work on them.

    Raises:
        Busy: another process, or another block of this one, holds one of them.
        UserError: the runs folder cannot be written, or its file system knows no locks.
    """
    folder = runs_folder() / LOCKS
    make_folder(folder)
    taken: list[int] = []
    try:
        # In one order for everybody, so that of those that meet at least one gets through.
        for target in sorted(targets):
            path = folder / hashlib.sha256(target.encode()).hexdigest()[:32]
            handle = hold(path, owner)
            if handle is None:
                raise Busy(_refusal(targets[target], read_owner(path)))
            taken.append(handle)
        yield
    finally:
        # The files stay for the next one, `sweep` removes them: making and removing hundreds takes
        # longer than all the rest.
        for handle in taken:
            if handle in _held:  # not in a fork: there it is the parent's
                os.ftruncate(handle, 0)
                let_go(handle)


def hold(path: Path, owner: str) -> int | None:
    """Make and lock the file ``path``; None when somebody else holds it.

    The handle is not inherited by programs and forks of this process.

    Raises:
        UserError: the file cannot be written, or its file system knows no locks.
    """
    handle = _take(path, create=True)
    if handle is None:
        return None
    try:
        os.ftruncate(handle, 0)
        os.pwrite(handle, _content(owner), 0)
    except OSError as error:
        release(path, handle)
        raise unwritable(error, path.parent) from error
    return handle


def release(path: Path, handle: int) -> None:
    """Remove the file and give back the lock that :func:`hold` gave."""
    if handle in _held:  # not in a fork: there it is the parent's
        # While it is still locked. Whoever opened it before and gets the lock now holds a file
        # without a name, which would keep nobody out: `_try` finds that out and tries again.
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        let_go(handle)


def let_go(handle: int) -> None:
    """Give back a lock and leave its file, as a kill would."""
    if handle in _held:
        _held.discard(handle)
        # Closing alone would not end it as long as a program that is just being started shares it.
        fcntl.flock(handle, fcntl.LOCK_UN)
        os.close(handle)


@contextmanager
def abandoned(path: Path) -> Iterator[bool]:
    """Whether the lock file ``path`` is there and nobody holds it. If so, the block holds it."""
    handle = _take(path, create=False)
    try:
        yield handle is not None
    finally:
        if handle is not None:
            let_go(handle)


def is_held(path: Path) -> bool:
    """Whether the lock file ``path`` is there and somebody holds it."""
    with abandoned(path) as free:
        return not free and path.is_file()


def sweep() -> None:
    """Remove the files of locks that nobody holds."""
    for path in (runs_folder() / LOCKS).glob("*"):
        with abandoned(path) as free:
            if free:
                path.unlink(missing_ok=True)


def read_owner(path: Path) -> dict[str, Any]:
    """What the lock file says about its owner; empty when it does not say."""
    try:
        who = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return who if isinstance(who, dict) and {"owner", "pid", "host", "since"} <= set(who) else {}


def _take(path: Path, create: bool) -> int | None:
    """The file opened and locked; None when somebody holds it, or it is not there to be locked.

    Who looks whether a lock is free holds it for a moment, and so does a program that a process
    was just starting when it was killed. Both end at once, and the file names nobody who lives.
    """
    until = time.monotonic() + PATIENCE
    while (handle := _try(path, create)) is None:
        gone = not create and not path.exists()
        if gone or _is_alive(read_owner(path)) or time.monotonic() > until:
            return None
        time.sleep(0.005)
    return handle


def _try(path: Path, create: bool) -> int | None:
    while True:
        try:
            flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0)
            handle = os.open(path, flags, 0o644)
        except FileNotFoundError:
            if create:
                make_folder(path.parent)
                continue
            return None
        except OSError as error:
            raise unwritable(error, path.parent) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return None
        except OSError as error:
            os.close(handle)
            raise UserError(
                f"{path.parent}: its file system knows no locks ({error.strerror}). "
                "Let the environment variable RUNS_DIR name a folder on another one."
            ) from error
        if _is_at(path, handle):
            _held.add(handle)
            return handle
        os.close(handle)


def _is_at(path: Path, handle: int) -> bool:
    """Whether the open file is the one that ``path`` names now."""
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def _content(owner: str) -> bytes:
    since = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    who = {"owner": owner, "pid": os.getpid(), "host": os.uname().nodename, "since": since}
    return json.dumps(who).encode()


def _refusal(what: str, who: Mapping[str, Any]) -> str:
    if not who:
        return f"{what} is being worked on by another process."
    since = datetime.datetime.fromisoformat(who["since"]).astimezone()
    return (
        f"{what} is being worked on by run {who['owner']}, process {who['pid']} "
        f"on {who['host']}, since {since:%Y-%m-%d %H:%M:%S}. Wait until it has ended."
    )


def _is_alive(who: Mapping[str, Any]) -> bool:
    if not who:
        return False
    if who["host"] == os.uname().nodename:
        try:
            os.kill(who["pid"], 0)
        except ProcessLookupError:
            return False
        except OSError:
            pass  # alive, and somebody else's
    return True
