"""Processes of jobs: started from a server that has the imports loaded, ended without remains."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import secrets
import signal
import sys
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path

GRACE = 5.0  # seconds a stopped job has to write down what it got
PRELOAD = "JOBS_PRELOAD"
MARK = "JOBS_SERVER"  # in the environment of every process of a server, however far from it
LEADER = "JOBS_LEADER"  # the same, of every program that a job started
# Equal inputs give equal outputs whatever the caller's hash seed, locale, time zone or backend.
ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    "PYTHONUTF8": "1",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",  # figures belong in the notebook
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
}


def context(
    preload: Sequence[str] = (), engines: Collection[str] = ("kernel",)
) -> ForkServerContext:
    """Where job processes come from: a server that has imported what they need.

    Args:
        preload: names of modules that notebooks import; one that cannot be imported is ignored.
        engines: the engines whose modules are imported.
    """
    made = multiprocessing.get_context("forkserver")
    names = [f"{__package__}.{name}" for name in ("worker", *(f"engines.{e}" for e in engines))]
    made.set_forkserver_preload([f"{__package__}.engines.preload"])
    _wanted[:] = [*names, *preload]
    return made


_wanted: list[str] = []


def warm(context: ForkServerContext) -> None:
    """Start the server now; it imports while the caller does something else."""
    from multiprocessing import forkserver

    added = {**ENVIRONMENT, PRELOAD: ",".join(_wanted), MARK: secrets.token_hex(8)}
    before = {name: os.environ.get(name) for name in added}
    ours = threading.current_thread() is threading.main_thread()
    os.environ.update(added)
    try:
        if ours:
            handler = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the runner's to hear
        forkserver.ensure_running()
    finally:
        if ours:
            signal.signal(signal.SIGINT, handler)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def stop(process: BaseProcess, grace: float = GRACE) -> None:
    """Ask a job's process to end, then end it; nothing of its session is left."""
    process.terminate()
    process.join(grace)
    if process.pid:
        clear(process.pid)
    process.join()


def clear(leader: int) -> None:
    """Kill what is left of the job whose process was ``leader``: its session, its descendants
    and all that bear its name in their environment."""
    import psutil

    found: set[int] = set()
    with contextlib.suppress(psutil.NoSuchProcess):
        found = {child.pid for child in psutil.Process(leader).children(recursive=True)}
    for _ in range(50):  # what is being forked at this moment is found the next time
        found |= {pid for pid in psutil.pids() if _session(pid) == leader}
        found |= _bearers(LEADER, str(leader))
        found = {pid for pid in found if _kill(pid)}
        if not found:
            return
        time.sleep(0.01)


def clear_rest() -> None:
    """Kill all others of the job whose process this is."""
    import psutil

    own = os.getpid()
    found = set(_tree(own)) | {pid for pid in psutil.pids() if _session(pid) == own}
    for pid in found - {own}:
        _kill(pid)


def sweep(mark: str, keeper: int) -> None:
    """Kill every process that bears ``mark`` in its environment, but ``keeper``, who calls."""
    if mark and os.getpid() == keeper:
        for pid in _bearers(MARK, mark) - {keeper}:
            _kill(pid)


def adopt() -> None:
    """Become the parent of orphaned descendants (Linux), so that :func:`clear_rest` finds them."""
    _prctl(36, 1)  # PR_SET_CHILD_SUBREAPER


def end_with_parent() -> None:
    """Let the system kill this process when its parent dies (Linux; elsewhere a thread watches)."""
    _prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(option, value)


def _bearers(name: str, value: str) -> set[int]:
    """Processes of this user whose environment said ``name=value`` when they began."""
    import psutil

    found = set()
    for pid in psutil.pids():
        with contextlib.suppress(psutil.Error, OSError):
            if psutil.Process(pid).environ().get(name) == value:
                found.add(pid)
    return found


class Memory:
    """Memory of a process and its descendants, in MiB; shared pages count by share on Linux."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.peak = 0
        self._last = 0
        self._next = 0.0

    def sample(self) -> int:
        """What is used now. Asked too often for its cost, it repeats its last answer."""
        begun = time.monotonic()
        if begun >= self._next:
            self._last = sum(_memory(pid) for pid in _tree(self.pid)) >> 20
            self.peak = max(self.peak, self._last)
            ended = time.monotonic()
            # a large process takes long to measure
            self._next = ended + min(20 * (ended - begun), 2.0)
        return self._last


def _tree(pid: int) -> Iterator[int]:
    if sys.platform == "linux":
        yield pid
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{pid}/task").iterdir():
                for child in (task / "children").read_text().split():
                    yield from _tree(int(child))
        return
    import psutil

    with contextlib.suppress(psutil.Error):
        family = psutil.Process(pid)
        yield from (each.pid for each in [family, *family.children(recursive=True)])


def _memory(pid: int) -> int:
    """Bytes of one process; 0 when it has gone."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    return int(line.split()[1]) << 10
    import psutil

    with contextlib.suppress(psutil.Error):
        return int(psutil.Process(pid).memory_info().rss)
    return 0


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


def _kill(pid: int) -> bool:
    """Kill a process; whether it is still there, and no zombie."""
    import psutil

    with contextlib.suppress(OSError, psutil.Error):
        os.kill(pid, signal.SIGKILL)
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    return False
