"""What a result depends on besides its inputs and its configuration: code, lock, machine."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

from .files import sha256

THREAD_VARIABLES = (
    "PYTHONHASHSEED",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OMP_WAIT_POLICY",
)


def git_state(root: Path) -> dict[str, Any]:
    """The commit checked out at ``root`` and the hash of what differs from it.

    All values are None where there is no git or no commit yet.
    """
    commit = _git(root, "rev-parse", "HEAD")
    if commit is None:
        return {"commit": None, "dirty": None, "diff_sha256": None}
    diff = _git(root, "diff", "--binary", "HEAD") or b""
    names = _git(root, "ls-files", "--others", "--exclude-standard", "-z") or b""
    digest = hashlib.sha256(diff)
    untracked = sorted(name for name in names.decode().split("\0") if name)
    for name in untracked:
        path = root / name
        if path.is_file():
            digest.update(f"{name}\0{sha256(path)}\n".encode())
    dirty = bool(diff or untracked)
    return {
        "commit": commit.decode().strip(),
        "dirty": dirty,
        "diff_sha256": digest.hexdigest() if dirty else None,
    }


def environment(root: Path) -> dict[str, Any]:
    """Interpreter, machine, thread settings and the hash of the lock file."""
    lock = root / "uv.lock"
    return {
        "lock_sha256": sha256(lock) if lock.is_file() else None,
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "os": platform.platform(),
        "cpu": _cpu(),
        "cpu_count": os.cpu_count(),
        "threads": {name: os.environ.get(name) for name in THREAD_VARIABLES},
    }


def command() -> list[str]:
    """The command line of this process, without the path of the interpreter."""
    return ["python", *sys.orig_argv[1:]]


def _git(root: Path, *arguments: str) -> bytes | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, check=False)
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None


@cache
def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
