"""What a result depends on besides its inputs, its configuration and its code: lock and machine."""

from __future__ import annotations

import hashlib
import locale
import os
import platform
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

from .files import sha256

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OMP_WAIT_POLICY",
)


def environment(root: Path) -> dict[str, Any]:
    """Interpreter, system, machine, thread settings and the hash of the lock file."""
    lock = root / "uv.lock"
    cpu, flags = _cpu()
    return {
        "lock_sha256": sha256(lock) if lock.is_file() else None,
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "os": _system(),
        "libc": " ".join(platform.libc_ver()).strip() or None,
        "cpu": cpu,
        "cpu_count": os.cpu_count(),
        "cpu_flags_sha256": flags,
        "threads": {name: os.environ.get(name) for name in THREAD_VARIABLES},
        "hash_seed": os.environ.get("PYTHONHASHSEED"),
        "locale": locale.setlocale(locale.LC_CTYPE),
        "timezone": _timezone(),
    }


def blas() -> list[dict[str, Any]]:
    """The linear algebra and thread libraries in use; empty as long as nothing needed numpy."""
    if "numpy" not in sys.modules:
        return []
    from threadpoolctl import threadpool_info

    return [
        {
            "library": found["internal_api"],
            "version": found["version"],
            "architecture": found.get("architecture"),
            "threads": found["num_threads"],
        }
        for found in sorted(threadpool_info(), key=lambda each: str(each["filepath"]))
    ]


def command() -> list[str]:
    """The command line of this process, without the path of the interpreter."""
    arguments = (os.fsencode(each).decode(errors="replace") for each in sys.orig_argv[1:])
    return ["python", *arguments]


def _system() -> str:
    """Name, release and kind of machine. `platform.platform` starts a program to find them out."""
    found = os.uname()
    apple = platform.mac_ver()[0]
    return f"{'macOS' if apple else found.sysname} {apple or found.release} {found.machine}"


def _timezone() -> str:
    """``TZ``, or the name of the machine's time zone."""
    if wanted := os.environ.get("TZ"):
        return wanted
    _, found, name = os.path.realpath("/etc/localtime").partition("/zoneinfo/")
    return name if found else time.tzname[0]


@cache
def _cpu() -> tuple[str, str | None]:
    """The name of the processor, and the hash of what instructions it has if the system says."""
    name, flags = "", None
    info = Path("/proc/cpuinfo")
    if info.is_file():
        with info.open() as lines:
            for line in lines:
                key, _, value = line.partition(":")
                if key.strip() == "model name":
                    name = value.strip()
                elif key.strip() in ("flags", "Features"):
                    flags = hashlib.sha256(" ".join(sorted(value.split())).encode()).hexdigest()
                elif not line.strip():  # the next processor: on large machines, reading all is slow
                    break
    return name or os.uname().machine, flags
