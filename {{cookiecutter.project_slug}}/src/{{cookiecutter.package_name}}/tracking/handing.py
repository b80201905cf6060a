"""What a run does at its end: note whose part it was, and start a sender."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..config import PROJECT_ROOT
from ..config.tracking import TrackingConfig
from ..errors import UserError
from ..runs import locks, runs_folder
from ..runs.files import make_folder
from ..runs.run import OPEN
from . import outbox

PACKAGE = __package__.rpartition(".")[0]
AGAIN = f"python -m {PACKAGE}.tracking"
SEND = ["send", "--background"]


def hand_over(run: Path, config: TrackingConfig) -> None:
    """Have the run in the folder ``run``, which has ended, sent to where ``config`` says.

    Never fails, as the run has its outcome already, and takes some milliseconds; with
    ``tracking.wait`` up to so many seconds more.
    """
    if os.environ.get("TRACKING") == "none":
        return
    try:
        _attempt(lambda: _note_parent(run), run)
        if os.environ.get("JOB_RUN"):
            return  # nothing may outlive a job; the run of all jobs sends these as well
        if importlib.util.find_spec("mlflow") is None:
            _say('MLflow is not installed: add "mlflow" to default-groups in pyproject.toml, then')
            _say(f"make setup. Run {run.name} waits: {AGAIN} sends it.")
            return
        if found := outbox.trouble():
            _say(f"{found['where']} did not answer ({found['why']}); runs wait: {AGAIN} sends them")
        _attempt(start, run)
        if config.wait > 0:
            _wait(run, config)
    except KeyboardInterrupt:  # the run has ended well: only this has not
        _say(f"not waiting; {AGAIN} sends what is left")
    except Exception as error:
        _say(f"run {run.name} is not sent: {error}. {AGAIN} sends it later.")


def start() -> None:
    """Start a process that sends what waits, unless one is at it: that one will see the rest."""
    folder = outbox.folder()
    if locks.is_held(folder / outbox.LOCK):
        return
    left_out = ("JOB_", "JOBS_")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(left_out)}
    environment["RUNS_DIR"] = str(runs_folder().resolve())
    try:
        make_folder(folder)
        log: Any = (folder / outbox.LOG).open("ab")
    except (OSError, UserError):  # what senders say is lost, and no run
        log = subprocess.DEVNULL
    try:
        # By way of a shell that ends at once: whoever outlives us is not ours to wait for.
        subprocess.run(
            ["/bin/sh", "-c", '"$@" &', "sh", sys.executable, "-m", f"{PACKAGE}.tracking", *SEND],
            check=True,
            cwd=PROJECT_ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # neither Ctrl-C nor the end of a terminal is meant for it
        )
    finally:
        if log is not subprocess.DEVNULL:
            log.close()


def parent(run: str) -> str | None:
    """The run that this one is a part of: one that the same process has open, such as a search that
    trains its best settings."""
    who = ((path.name, locks.read_owner(path)) for path in (runs_folder() / OPEN).glob("*"))
    here = os.getpid(), os.uname().nodename
    found = [name for name, o in who if o and (o["pid"], o["host"]) == here and name < run]
    return max(found, default=None)


def sweep() -> str | None:
    """the sweep of Hydra's that this process works for."""
    if "hydra" not in sys.modules:
        return None
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    if not HydraConfig.initialized() or HydraConfig.get().mode != RunMode.MULTIRUN:
        return None
    path = str(HydraConfig.get().sweep.dir)
    # The folder is named by a second: its whole path tells two sweeps of one second apart.
    digest = hashlib.sha256(f"{os.uname().nodename} {path}".encode()).hexdigest()[:4]
    return f"{Path(path).name}-sweep-{digest}"


def _note_parent(run: Path) -> None:
    above = parent(run.name) or sweep()
    if above is not None:
        outbox.remark(run, parent=above)


def _wait(run: Path, config: TrackingConfig) -> None:
    until = time.monotonic() + config.wait
    while not outbox.outcome(run, outbox.place(config)) and time.monotonic() < until:
        time.sleep(0.05)


def _attempt(step: Callable[[], None], run: Path) -> None:
    try:
        step()
    except Exception as error:
        _say(f"run {run.name}: {error}")


def _say(text: str) -> None:
    print(f"tracking: {text}", file=sys.stderr, flush=True)
