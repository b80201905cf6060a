"""Run a plan: ready jobs in parallel, each in a process of its own, and say how it really went.

The processes start from a parent that has papermill loaded, so a job costs its kernel and no more.
A job's notebook is written apart and moved to its final place when it is whole.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..runs import Run
from .board import Board
from .outcome import (
    FAILED,
    INTERRUPTED,
    SUCCEEDED,
    TIMED_OUT,
    Outcome,
    fault,
    last_place,
    plain_text,
    title,
)
from .spec import Job
from .summary import read_summary
from .worker import Task, work

GRACE = 5.0  # seconds a stopped job has to write down what it got
PARTIAL = ".partial"


@dataclass
class Worker:
    """A job that is running."""

    outcome: Outcome
    task: Task
    process: BaseProcess
    channel: Connection
    started: float
    said: str = ""

    @property
    def deadline(self) -> float:
        return self.started + self.outcome.job.timeout


def run_plan(plan: Sequence[Job], run: Run, workers: int) -> list[Outcome]:
    """Execute ``plan`` into ``run.path``: notebook, report and summary of each job, and an index.

    Returns:
        An outcome for each job, in the order of the plan.

    Raises:
        UserError: at the end, when not every job succeeded.
        KeyboardInterrupt, SystemExit: as they came; all kernels are stopped, the index is written.
    """
    runner = _Runner(plan, run, workers)
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, runner.interrupt)
    try:
        runner.work()
    finally:
        runner.close()
        for number, handler in before.items():
            signal.signal(number, handler)
    outcomes = list(runner.outcomes.values())
    bad = [outcome for outcome in outcomes if outcome.status != SUCCEEDED]
    if bad:
        names = ", ".join(f"{o.job.name} ({o.status.replace('_', ' ')})" for o in bad)
        raise UserError(f"{len(bad)} of {len(plan)} jobs did not succeed: {names}.")
    return outcomes


class _Runner:
    def __init__(self, plan: Sequence[Job], run: Run, workers: int) -> None:
        self.run = run
        self.size = workers
        self.waiting = {job.name: job for job in plan}
        self.running: list[Worker] = []
        self.outcomes = {job.name: Outcome(job) for job in plan}
        self.board = Board(len(plan))
        self.partial = run.path / PARTIAL
        self.interrupted: int | None = None
        self.alarm, self.bell = multiprocessing.Pipe(duplex=False)
        for job in plan:
            for path in (job.notebook, job.notebook.with_suffix(".py")):
                run.add_input(path)
        self.context = _context()

    def interrupt(self, number: int, frame: object) -> None:
        """A signal is only noted, so that it cannot come between two steps that belong together."""
        self.interrupted = number
        self.bell.send(number)

    def work(self) -> None:
        while self.waiting or self.running:
            if self.interrupted == signal.SIGINT:
                raise KeyboardInterrupt
            if self.interrupted:
                sys.exit(128 + self.interrupted)
            self._start_ready()
            if not self.running:
                continue
            now = time.monotonic()
            patience = max(0.0, min(worker.deadline for worker in self.running) - now)
            events = {e: w for w in self.running for e in (w.channel, w.process.sentinel)}
            ready = wait([*events, self.alarm], patience)
            for worker in {id(events[e]): events[e] for e in ready if e in events}.values():
                self._listen(worker)
                if not worker.process.is_alive():
                    self._finish(worker)
            for worker in [w for w in self.running if time.monotonic() >= w.deadline]:
                self._finish(worker, TIMED_OUT)

    def close(self) -> None:
        """Stop what still runs, then write what is known about all jobs."""
        from .report import write_index

        for worker in self.running:
            worker.process.terminate()
        while self.running:
            self._finish(self.running[0], INTERRUPTED)
        for name in self.waiting:
            self.outcomes[name].cause = "the run ended before it could start"
            self._end(self.outcomes[name])
        self.board.close()
        shutil.rmtree(self.partial, ignore_errors=True)
        outcomes = list(self.outcomes.values())
        self.run.write_json("jobs.json", [outcome.record() for outcome in outcomes])
        write_index(self.run, outcomes)
        print(f"report: {os.path.relpath(self.run.path / 'index.html')}", flush=True)

    def _start_ready(self) -> None:
        for job in list(self.waiting.values()):
            needs = [self.outcomes[name] for name in job.needs]
            if any(need.job.name in self.waiting or self._runs(need.job) for need in needs):
                continue
            lacking = [need.job.name for need in needs if need.status != SUCCEEDED]
            if lacking:
                del self.waiting[job.name]
                self.outcomes[job.name].cause = f"it needs {', '.join(lacking)}"
                self._end(self.outcomes[job.name])
            elif len(self.running) < self.size:
                del self.waiting[job.name]
                self._start(job)

    def _runs(self, job: Job) -> bool:
        return any(worker.outcome.job is job for worker in self.running)

    def _start(self, job: Job) -> None:
        outcome = self.outcomes[job.name]
        try:
            outcome.parameters = job.resolve({n: o.summary for n, o in self.outcomes.items()})
        except UserError as error:
            outcome.status, outcome.cause = FAILED, str(error)
            self._end(outcome)
            return
        scratch = self.partial / job.name
        scratch.mkdir(parents=True)
        output = scratch / f"{job.name}.ipynb"
        task = Task(job.notebook, output, outcome.parameters, Path.cwd(), scratch)
        ours, theirs = self.context.Pipe()
        process = self.context.Process(target=work, args=(task, theirs), name=job.name)
        process.start()
        theirs.close()
        self.running.append(Worker(outcome, task, process, ours, time.monotonic()))
        cells = len(json.loads(job.notebook.read_bytes())["cells"]) + bool(outcome.parameters)
        self.board.start(job.name, cells)

    def _listen(self, worker: Worker) -> None:
        try:
            while worker.channel.poll():
                message = worker.channel.recv()
                if isinstance(message, int):
                    self.board.advance(worker.outcome.job.name, message)
                else:
                    worker.said = message
        except (EOFError, OSError):
            worker.process.join(GRACE)

    def _finish(self, worker: Worker, stopped: str | None = None) -> None:
        """Take what the process left and judge it; ``stopped`` is why we are ending it."""
        if stopped:
            _stop(worker.process)
        worker.process.join()
        self._listen(worker)
        worker.channel.close()
        self.running.remove(worker)
        outcome, job = worker.outcome, worker.outcome.job
        outcome.seconds = time.monotonic() - worker.started
        notebook: dict[str, Any] | None = None
        if worker.task.output.is_file():
            final = self.run.path / worker.task.output.name
            worker.task.output.replace(final)
            notebook = json.loads(final.read_bytes())
            outcome.title = title(notebook)
        code = worker.process.exitcode
        found = fault(notebook) if notebook else None
        place = last_place(notebook) if notebook else "before its first cell"
        if stopped and code != 0:
            limit = f" after {job.timeout:g} s, its timeout" if stopped == TIMED_OUT else ""
            outcome.status, outcome.cause = stopped, f"stopped{limit}, {place}"
        elif code != 0 or worker.said or notebook is None:
            outcome.status = FAILED
            outcome.cause = worker.said or f"its process ended with exit status {code}"
            outcome.cause += f", {place}"
            outcome.detail = found[1] if found else _tail(worker.task.log)
        elif found:
            outcome.status = FAILED
            outcome.cause, outcome.detail = found
        else:
            outcome.status, outcome.summary = SUCCEEDED, read_summary(notebook)
        self._end(outcome, notebook)

    def _end(self, outcome: Outcome, notebook: dict[str, Any] | None = None) -> None:
        from .report import write_page

        self.board.end(outcome)
        write_page(self.run, outcome, notebook)
        if outcome.status == SUCCEEDED:
            self.run.write_json(f"{outcome.job.name}.summary.json", asdict(outcome.summary))
        for name, value in outcome.summary.values.items():
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                self.run.metrics[f"{outcome.job.name}.{name}"] = value


def _context() -> Any:
    """Where job processes come from: a server that has imported papermill, where there is one."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    from multiprocessing import forkserver

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["papermill", __name__])
    if threading.current_thread() is threading.main_thread():
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is ours alone to hear
        forkserver.ensure_running()
        signal.signal(signal.SIGINT, before)
    return context


def _stop(process: BaseProcess) -> None:
    """Ask the process to end, then end it and everything it started."""
    import psutil

    process.terminate()
    process.join(GRACE)
    if process.is_alive() and process.pid:
        with contextlib.suppress(psutil.NoSuchProcess):
            family = psutil.Process(process.pid)
            for member in [*family.children(recursive=True), family]:
                member.kill()


def _tail(log: Path, lines: int = 8) -> str:
    text = plain_text(log.read_text(errors="replace")) if log.is_file() else ""
    return "\n".join(text.strip().splitlines()[-lines:])
