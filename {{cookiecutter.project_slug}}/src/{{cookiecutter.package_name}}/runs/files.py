"""Files that are whole or absent, and the hash that names their content."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..config import PROJECT_ROOT
from ..errors import UserError

WRITING = ".writing-"  # how the name of a file begins until it is whole
STALE = 3600.0  # seconds after which nobody is still writing a file that has not grown

_FULL = (errno.ENOSPC, errno.EDQUOT)


def runs_folder() -> Path:
    """``runs/`` of the project, or what the environment variable ``RUNS_DIR`` says."""
    return Path(os.environ.get("RUNS_DIR") or PROJECT_ROOT / "runs")


@contextmanager
def atomic_path(path: Path, synced: bool = True) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place when the block ends well.

    A kill, an error or a full disk in between leaves ``path`` as it was. When the block has ended,
    the new file survives a power cut, unless ``synced`` is false: that is for what is soon
    replaced, or what its reader checks by a hash and can make again, since waiting
    for a disk takes long.

    Raises:
        UserError: the disk is full, or the folder cannot be written; names the folder.
    """
    folder = path.parent
    make_folder(folder)
    try:
        handle, name = tempfile.mkstemp(prefix=WRITING, suffix=path.suffix, dir=folder)
    except OSError as error:
        raise unwritable(error, folder) from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        if synced:
            _sync(temporary)  # before the new name, or a power cut could leave it on an empty file
        temporary.replace(path)
        if synced:
            _sync(folder)
    except OSError as error:
        # Other errors in the block may be about other files; a disk is full for all of them.
        if error.errno in _FULL or str(error.filename) == name:
            raise unwritable(error, folder) from error
        raise
    except UserError:
        raise
    except Exception as error:
        if _is_full(folder):  # the library that wrote has words of its own for it
            raise unwritable(OSError(errno.ENOSPC, "full"), folder) from error
        raise
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_atomic(path: Path, data: bytes | str, synced: bool = True) -> None:
    """Write ``data`` (text as UTF-8) to ``path``, whole or not at all; as above."""
    with atomic_path(path, synced) as temporary:
        temporary.write_bytes(data.encode() if isinstance(data, str) else data)


def make_folder(folder: Path) -> None:
    """Make ``folder`` and those above it.

    Raises:
        UserError: it cannot be made; names it and says why.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(error, folder) from error


def unwritable(error: OSError, folder: Path) -> UserError:
    """What to tell a person about ``error``, met when something was written in ``folder``."""
    if error.errno in _FULL:
        return UserError(f"{folder}: the disk is full. Make room there, then run it again.")
    return UserError(
        f"{folder}: cannot be written ({error.strerror}). Make it writable, or give another folder."
    )


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def leftovers(folder: Path, age: float = STALE) -> list[Path]:
    """What killed writers left below ``folder`` and nobody has written to for ``age`` seconds."""
    before = time.time() - age
    found = []
    for path in sorted(folder.rglob(f"{WRITING}*")):
        with contextlib.suppress(FileNotFoundError):  # its writer has just ended
            if path.lstat().st_mtime <= before:
                found.append(path)
    return found


def _is_full(folder: Path) -> bool:
    there = os.statvfs(folder)
    return (there.f_bfree if os.geteuid() == 0 else there.f_bavail) == 0


def _sync(path: Path) -> None:
    """Bring a file or the entries of a folder to the disk."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    except OSError as error:
        # Some file systems do not know it for folders; a file that is not on the disk is an error.
        if not (path.is_dir() and error.errno == errno.EINVAL):
            raise
    finally:
        os.close(handle)
