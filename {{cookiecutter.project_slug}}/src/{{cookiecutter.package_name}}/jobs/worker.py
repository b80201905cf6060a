"""The inside of a job's own process: execute one notebook and keep it whatever happens.

Nothing is decided here; the runner judges the notebook and the exit status this leaves behind.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import re
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NoReturn

from ..runs import write_atomic
from . import engines
from .processes import ENVIRONMENT, LEADER, MARK, adopt, clear_rest, end_with_parent

ADDRESS = re.compile(r" at 0x[0-9a-fA-F]{6,16}\b")
MAIN_PROCESS = multiprocessing.current_process()  # of the server, which imports this first
STOPPED = 128 + signal.SIGTERM  # exit status of a job's process that was asked to end


@dataclass(frozen=True)
class Task:
    """What a job's process is told.

    Args:
        notebook: nbformat JSON with the parameters in it.
        engine: one of :data:`engines.ENGINES`.
        cwd: where the notebook works.
        scratch: a folder of its own.
        environment: variables for the notebook, beside those of the runner.
        secrets: names of variables whose values must not appear in what is left.
        inherited: the runner's variables, which are not those its server was started with.
    """

    job: str
    notebook: dict[str, Any]
    engine: str
    cwd: Path
    scratch: Path
    environment: dict[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    inherited: dict[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)

    @property
    def executed(self) -> Path:
        return self.scratch / "executed.ipynb"

    @property
    def log(self) -> Path:
        return self.scratch / "log.txt"

    def values(self) -> dict[str, str]:
        """The secrets' values; in the job's process."""
        return {name: os.environ[name] for name in self.secrets if name in os.environ}

    def hidden(self, text: str) -> str:
        """``text`` without them."""
        if not self.secrets:
            return text
        from .secret import redact

        return redact(text, self.values())


def work(task: Task, channel: Connection) -> None:
    """Execute ``task``; leaves ``executed.ipynb``, whole or absent, and ``log.txt``.

    Sends ``("cell", index)`` as each cell begins, ``("kernel", returncode)`` when the kernel's
    process ended by itself and ``("said", text)`` when the engine failed outside a cell.
    """
    _settle(task)
    engine = engines.load(task.engine)(
        task.notebook, task.scratch, lambda index: channel.send(("cell", index))
    )

    def keep() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # from here on there is nothing to stop
        _write(task, engine.cells())

    def stop(*_: object) -> NoReturn:
        keep()
        engine.close()
        clear_rest()
        os._exit(STOPPED)

    signal.signal(signal.SIGTERM, stop)
    threading.Thread(target=_follow_runner, args=(channel,), daemon=True).start()
    try:
        engine.run()
    except engines.KernelEnded as end:
        channel.send(("kernel", end.returncode))
    except Exception as error:
        traceback.print_exc()
        channel.send(("said", task.hidden(f"{type(error).__name__}: {error}")))
    keep()
    clear_rest()


def _settle(task: Task) -> None:
    """A session, output and environment of its own, so that equal inputs give equal outputs."""
    end_with_parent()
    adopt()
    os.setsid()  # Ctrl-C reaches the runner, which stops its jobs in order
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _leave_server()
    marks = {MARK: os.environ.get(MARK, ""), LEADER: str(os.getpid())}
    os.environ.clear()
    os.environ.update({**task.inherited, **ENVIRONMENT, **task.environment, **marks})
    os.environ["IPYTHONDIR"] = str(task.scratch)  # no start-up files of the person's own
    time.tzset()
    os.chdir(task.cwd)
    nothing = os.open(os.devnull, os.O_RDONLY)
    log = os.open(task.log, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644)
    for handle, number in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(handle, number)
    os.close(nothing)
    os.close(log)
    sys.argv = ["notebook"]
    # what a run that the notebook makes says of its command
    sys.orig_argv = ["python", "-m", f"{__package__}", f"jobs.only=[{task.job}]"]
    if "" not in sys.path:
        sys.path.insert(0, "")  # a notebook imports what lies beside it


def _leave_server() -> None:
    """Be a process like any other, not one of ``multiprocessing``'s server."""
    from multiprocessing import forkserver

    # The server ends when nobody holds this: it must not wait for us when the runner is gone.
    alive = getattr(forkserver._forkserver, "_forkserver_alive_fd", None)
    if alive is not None:
        os.close(alive)
        forkserver._forkserver._forkserver_alive_fd = None  # type: ignore[attr-defined]
    multiprocessing.set_start_method(None, force=True)
    process: Any = multiprocessing.process
    process._current_process, process._parent_process = MAIN_PROCESS, None
    MAIN_PROCESS.name = "MainProcess"
    if "numpy.random" in sys.modules:  # a state of its own, as in a new process
        sys.modules["numpy.random"].seed()


def _follow_runner(channel: Connection) -> None:
    """End with the runner: its end of the channel closes even when it is killed."""
    with contextlib.suppress(EOFError, OSError):
        channel.recv()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(3)  # a main thread that hears no signals
    clear_rest()
    os._exit(STOPPED)


def _write(task: Task, cells: Sequence[Mapping[str, Any]]) -> None:
    notebook = executed(task.notebook, cells)
    if task.secrets:
        from .secret import redact_notebook

        notebook = redact_notebook(notebook, task.values())
        write_atomic(task.log, task.hidden(task.log.read_text(errors="replace")))
    text = json.dumps(notebook, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    write_atomic(task.executed, text.encode(errors="replace"), synced=False)


def executed(notebook: Mapping[str, Any], cells: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """``notebook`` with the outputs and counts of its code cells, and nothing else of the run.

    Args:
        cells: ``outputs`` and ``execution_count`` of each code cell; fewer when some never began.
    """
    ran = iter(cells)
    made = []
    for cell in notebook["cells"]:
        cell = {**cell, "metadata": _without(cell.get("metadata", {}), "papermill", "execution")}
        cell["source"] = "".join(cell["source"]).splitlines(keepends=True)
        if cell["cell_type"] == "code":
            state = next(ran, {})
            cell["outputs"] = tidy(state.get("outputs", []))
            cell["execution_count"] = state.get("execution_count")
        made.append(cell)
    metadata = _without(notebook.get("metadata", {}), "papermill", "widgets")
    return {**notebook, "cells": made, "metadata": metadata}


def tidy(outputs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Outputs with texts that follow each other joined, as one sees them on a terminal."""
    made: list[dict[str, Any]] = []
    texts: list[str] = []
    for output in outputs:
        if output["output_type"] != "stream":
            made.append(dict(output))
            continue
        last = made[-1] if made else {}
        if last.get("output_type") != "stream" or last.get("name") != output["name"]:
            texts = []
            made.append({**output, "text": texts})
        text = output["text"]
        texts.append(text if isinstance(text, str) else "".join(text))
    for output in made:
        kind = output["output_type"]
        if kind == "stream":
            output["text"] = _nowhere(_overwritten("".join(output["text"])))
        elif kind == "error":
            output["evalue"] = _nowhere(output["evalue"])
            output["traceback"] = [_nowhere(line) for line in output["traceback"]]
        else:
            output["data"] = {
                name: _nowhere(value) if name.startswith("text/") else value
                for name, value in output["data"].items()
            }
    return made


def _nowhere(text: str) -> str:
    """Without the addresses in memory that objects show when they have nothing else to show."""
    return ADDRESS.sub(" at 0x0", text) if " at 0x" in text else text


def _overwritten(text: str) -> str:
    """What stays visible when a line was written over, as progress bars do."""
    if "\r" not in text:
        return text
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines)


def _without(values: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in names}
