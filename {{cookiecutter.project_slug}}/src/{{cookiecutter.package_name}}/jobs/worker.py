"""The inside of a job's own process: execute one notebook and keep it whatever happens.

Nothing is decided here; the runner judges the notebook and the exit status this leaves behind.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ..runs import write_atomic
from .outcome import INJECTED

ERROR_MARK = "papermill-error-cell-tag"


@dataclass(frozen=True)
class Task:
    """What a job process is told; ``scratch`` is a folder of its own."""

    notebook: Path
    output: Path
    parameters: dict[str, Any]
    cwd: Path
    scratch: Path

    @property
    def log(self) -> Path:
        return self.scratch / "log.txt"


def work(task: Task, channel: Connection) -> None:
    """Execute ``task``; send the index of each cell as it begins, and why papermill failed."""
    _prepare(task)
    signal.signal(signal.SIGTERM, _stop)
    threading.Thread(target=_follow_runner, args=(channel,), daemon=True).start()

    import nbformat
    import papermill
    from papermill.engines import NBClientEngine, papermill_engines

    class Engine(NBClientEngine):
        """papermill's own engine, which lends the notebook out, so that a stop does not lose it."""

        @classmethod
        def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **kwargs: Any) -> None:
            managers.append(nb_man)
            super().execute_managed_notebook(nb_man, kernel_name, **kwargs)

    managers: list[Any] = []
    papermill_engines.register("job", Engine)
    try:
        papermill.execute_notebook(
            task.notebook,
            None,
            task.parameters,
            engine_name="job",
            kernel_name="python3",
            language="python",
            progress_bar=False,
            autosave_cell_every=0,
            cwd=task.cwd,
            on_cell_start=lambda cell, cell_index: channel.send(cell_index),
        )
    except papermill.PapermillExecutionError:
        pass  # the notebook says so itself
    except Exception as error:
        channel.send(f"{type(error).__name__}: {error}")
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # from here on there is nothing to stop
        if managers:
            write_atomic(task.output, nbformat.writes(_tidy(managers[0].nb)) + "\n")


def _prepare(task: Task) -> None:
    """A session, output and environment of its own, so that equal inputs give equal outputs."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(os, "setsid"):
        os.setsid()  # Ctrl-C reaches the runner, which stops its jobs in order
    log = os.open(task.log, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ.update(
        PYTHONHASHSEED="0",
        MPLBACKEND="module://matplotlib_inline.backend_inline",  # figures belong in the notebook
        IPYTHONDIR=str(task.scratch),  # no start-up files of the person's own
        JUPYTER_RUNTIME_DIR=str(task.scratch),
        JUPYTER_PREFER_ENV_PATH="1",  # this environment's kernel, not one in the home folder
        PYDEVD_DISABLE_FILE_VALIDATION="1",
    )


def _follow_runner(channel: Connection) -> None:
    """End with the runner: its end of the channel closes even when it is killed."""
    with contextlib.suppress(EOFError, OSError):
        channel.recv()
    os.kill(os.getpid(), signal.SIGTERM)


def _stop(*_: object) -> None:
    import psutil

    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    sys.exit(143)


def _tidy(notebook: Any) -> Any:
    """Without the times, paths and random ids that would make equal results differ."""
    notebook.metadata.pop("papermill", None)
    notebook.cells = [
        cell for cell in notebook.cells if ERROR_MARK not in cell.metadata.get("tags", [])
    ]
    for cell in notebook.cells:
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        if INJECTED in cell.metadata.get("tags", []):
            cell.id = INJECTED
    return notebook
