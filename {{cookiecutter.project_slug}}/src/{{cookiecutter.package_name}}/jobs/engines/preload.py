"""Imported by the server of job processes before it serves: see :mod:`..processes`."""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import io
import os
from collections.abc import Iterable

from ..processes import MARK, PRELOAD, sweep

# What a shell, a kernel and a forked process import only when they are made.
LATE = (
    "IPython.core.completerlib",
    "IPython.core.debugger",
    "IPython.core.logger",
    "IPython.core.oinspect",
    "IPython.extensions.storemagic",
    "multiprocessing.popen_fork",
    "multiprocessing.popen_forkserver",
    "psutil",
    "tornado.platform.asyncio",
)


def _import(names: Iterable[str]) -> None:
    """Import what can be imported; what it prints or why it fails is for the notebook to see."""
    for name in names:
        sink = io.StringIO()
        with (
            contextlib.suppress(Exception),
            contextlib.redirect_stdout(sink),
            contextlib.redirect_stderr(sink),
        ):
            importlib.import_module(name)


def _leave(server: int) -> None:
    """End at once: libraries that are torn down with objects alive complain on the terminal."""
    if os.getpid() == server:
        os._exit(0)


gc.disable()  # nothing of what is imported is garbage
_import([*filter(None, os.environ.pop(PRELOAD, "").split(",")), *LATE])
atexit.register(_leave, os.getpid())  # after what is registered below: the last comes first
# The server ends when its runner does, however that ends: then nothing of its jobs may stay.
atexit.register(sweep, os.environ.get(MARK, ""), os.getpid())
gc.collect()
gc.enable()
gc.freeze()  # shared pages stay shared when a job's process collects its garbage
