"""Run a plan: ready jobs in parallel, each in a process of its own, and say how it really went.

The processes start from a parent that has loaded what the notebooks import, so a job costs its
cells and little more. A result is put in its place when it is whole, and not before.
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
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from textwrap import indent
from typing import Any

from ..errors import UserError
from ..runs import Run, sha256, to_json, write_atomic
from .board import Board
from .freshness import Key, files_of
from .injection import inject
from .outcome import (
    FAILED,
    INTERRUPTED,
    KILLED,
    RUNNING,
    SUCCEEDED,
    TIMED_OUT,
    WAITING,
    Outcome,
    exit_status,
    fault,
    last_place,
    plain_text,
    title,
)
from .parameters import secret_names
from .processes import Memory, clear, context, stop, warm
from .secret import redact, values_of
from .spec import Job
from .store import NOTEBOOK, OUTPUTS, PAGE, SUMMARY, Result, Results, share
from .summary import read_summary
from .worker import Task, work

PARTIAL = ".partial"
PULSE = 0.2  # seconds between two looks at a job's memory
MOST_PAGES = 8  # that wait for a moment in which nothing else is to be done


def prepare(stale: Sequence[Job], keys: Mapping[str, Key]) -> ForkServerContext | None:
    """Where processes for the jobs ``stale`` come from; it imports what they need from now on."""
    if not stale:
        return None
    made = context(
        sorted({library for job in stale for library in keys[job.name].libraries}),
        sorted({job.engine for job in stale}),
    )
    warm(made)
    return made


class JobsFailed(UserError):
    """Not every job succeeded; ``status`` is the exit status that says how."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class Worker:
    """A job that is running."""

    outcome: Outcome
    task: Task
    process: BaseProcess
    channel: Connection
    memory: Memory
    started: float
    said: str = ""
    kernel: int | None = None  # exit status of a kernel that died on its own

    @property
    def deadline(self) -> float:
        return self.started + self.outcome.job.timeout


def run_plan(
    plan: Sequence[Job],
    keys: Mapping[str, Key],
    states: Mapping[str, tuple[Result | None, str]],
    run: Run,
    workers: int,
) -> list[Outcome]:
    """Execute ``plan`` into ``run.path``: notebook, report and summary of each job, and an index.

    A job for which ``states`` hold a result takes that over and is not executed.

    Returns:
        An outcome for each job, in the order of the plan.

    Raises:
        JobsFailed: at the end, when not every job succeeded.
        KeyboardInterrupt, SystemExit: as they came; all kernels are stopped, the index is written.
    """
    runner = _Runner(plan, keys, run, workers)
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, runner.interrupt)
    try:
        runner.take(states)
        runner.work()
    finally:
        runner.close()
        for number, handler in before.items():
            signal.signal(number, handler)
    outcomes = list(runner.outcomes.values())
    bad = [outcome for outcome in outcomes if outcome.status != SUCCEEDED]
    if bad:
        names = ", ".join(f"{o.job.name} ({o.status.replace('_', ' ')})" for o in bad[:10])
        more = f" and {len(bad) - 10} more" if len(bad) > 10 else ""
        raise JobsFailed(
            f"{len(bad)} of {len(plan)} jobs did not succeed: {names}{more}.", exit_status(bad)
        )
    return outcomes


class _Runner:
    def __init__(
        self, plan: Sequence[Job], keys: Mapping[str, Key], run: Run, workers: int
    ) -> None:
        self.run = run
        self.size = workers
        self.keys = keys
        self.started: float | None = None  # when the first job began, all imports being loaded
        self.results = Results(run.path.parent)
        self.waiting = {job.name: job for job in plan}
        self.running: list[Worker] = []
        self.outcomes = {job.name: Outcome(job, key=keys[job.name].hash) for job in plan}
        self.board = Board(len(plan), run.path / "log.txt")
        self.partial = run.path / PARTIAL
        self.interrupted: int | None = None
        self.alarm, self.bell = multiprocessing.Pipe(duplex=False)
        run.records |= {"*.html", "jobs.json", "log.txt"}
        for job in plan:
            inputs = [file for text in job.inputs for file in files_of(text)]
            for path in (job.notebook, job.notebook.with_suffix(".py"), *inputs):
                run.add_input(path)
        self.context: Any = None
        self.pages: deque[tuple[Outcome, dict[str, Any] | None, Result | None]] = deque()
        self._told: dict[str, str] = {}  # what jobs.json says of each job
        self._news = True

    def take(self, states: Mapping[str, tuple[Result | None, str]]) -> None:
        """Take over every result that stands, and get ready for what has to run."""
        stale = [self.waiting[name] for name, (result, _) in states.items() if result is None]
        self.context = prepare(stale, self.keys)
        if stale:
            self.board.loading()
            from .report import get_ready  # while the server of processes imports, too

            get_ready()
        for name, (result, why) in states.items():
            if result is None:
                self.outcomes[name].why = why
            else:
                outcome = self.outcomes[name] = result.outcome(self.waiting.pop(name), why)
                outcome.key = self.keys[name].hash
                self._place(result, outcome)
                self._page(outcome, None, result)
                self.board.end(outcome)
        self._tell(*self.outcomes)

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
            self._write_jobs()
            if not self.running:
                continue
            now = time.monotonic()
            patience = min(PULSE, max(0.0, min(w.deadline for w in self.running) - now))
            events = {e: w for w in self.running for e in (w.channel, w.process.sentinel)}
            ready = wait([*events, self.alarm], 0 if self.pages else patience)
            if self.pages and (not ready or len(self.pages) > MOST_PAGES):
                self._page(*self.pages.popleft())
            for worker in {id(events[e]): events[e] for e in ready if e in events}.values():
                self._listen(worker)
                if not worker.process.is_alive():
                    self._finish(worker)
            for worker in list(self.running):
                self._watch(worker)

    def close(self) -> None:
        """Stop what still runs, then write what is known about all jobs."""
        from .report import write_index

        for worker in self.running:
            worker.process.terminate()
        while self.running:
            self._finish(self.running[0], INTERRUPTED)
        for name in list(self.waiting):
            self.outcomes[name].cause = "the run ended before it could start"
            self._end(self.outcomes[name])
        while self.pages:
            self._page(*self.pages.popleft())
        self.board.close()
        shutil.rmtree(self.partial, ignore_errors=True)
        self._write_jobs()
        write_index(self.run, list(self.outcomes.values()))
        print(f"report: {os.path.relpath(self.run.path / 'index.html')}", flush=True)

    # --- results

    def _place(self, result: Result, outcome: Outcome) -> None:
        """Let the run's folder have a result; what it shares with the store costs no space."""
        name, path = outcome.job.name, self.run.path
        share(result.folder / NOTEBOOK, path / f"{name}.ipynb")
        share(result.folder / SUMMARY, path / f"{name}.summary.json")
        for output in outcome.outputs:
            share(result.folder / OUTPUTS / output, path / name / output)
        for value, number in outcome.summary.values.items():
            if isinstance(number, (int, float)) and not isinstance(number, bool):
                self.run.metrics[f"{name}.{value}"] = number

    def _page(
        self, outcome: Outcome, notebook: dict[str, Any] | None, result: Result | None
    ) -> None:
        """Write the page of a job, or take that of its ``result`` when it is there."""
        name = outcome.job.name
        page = self.run.path / f"{name}.html"
        if result and outcome.reused and result.record["audience"] == outcome.job.audience:
            with contextlib.suppress(FileNotFoundError):
                share(result.folder / PAGE, page)
                return
        from .report import write_page

        if result and notebook is None:
            notebook = json.loads((result.folder / NOTEBOOK).read_bytes())
        write_page(self.run, outcome, notebook)
        if result and not outcome.reused:
            share(page, result.folder / PAGE)

    # --- while jobs run

    def _start_ready(self) -> None:
        unended = self._unended()
        for name, job in list(self.waiting.items()):
            ended = [self.outcomes[need] for need in job.needs if need not in unended]
            if bad := [o.job.name for o in ended if o.status != SUCCEEDED]:
                self.outcomes[name].cause = f"it needs {', '.join(bad)}"
                del self.waiting[name]
                unended.discard(name)
                self._end(self.outcomes[name])
            elif len(ended) == len(job.needs) and len(self.running) < self.size:
                del self.waiting[name]
                self._start(self.outcomes[name])

    def _unended(self) -> set[str]:
        return {*self.waiting, *(worker.outcome.job.name for worker in self.running)}

    def _start(self, outcome: Outcome) -> None:
        job = outcome.job
        try:
            outcome.parameters = job.resolve({n: o.summary for n, o in self.outcomes.items()})
        except UserError as error:
            outcome.status, outcome.cause = FAILED, str(error)
            self._end(outcome)
            return
        outcome.attempts += 1
        scratch = self.partial / f"{job.name}-{outcome.attempts}"
        (scratch / OUTPUTS).mkdir(parents=True)
        for need in job.needs:
            (scratch / "needs").mkdir(exist_ok=True)
            (scratch / "needs" / need).symlink_to((self.run.path / need).resolve())
        task = Task(
            job=job.name,
            notebook=inject(job.document, job.declared, outcome.parameters),
            engine=job.engine,
            cwd=Path.cwd(),
            scratch=scratch,
            environment={"JOB_FOLDER": str(scratch), "JOB_RUN": self.run.id},
            secrets=secret_names(job.declared, outcome.parameters),
        )
        ours, theirs = self.context.Pipe()
        process = self.context.Process(target=work, args=(task, theirs), name=job.name)
        process.start()  # returns when the server has imported everything
        theirs.close()
        started = time.monotonic()
        self.started = self.started or started
        outcome.begun = started - self.started
        memory = Memory(process.pid)
        self.running.append(Worker(outcome, task, process, ours, memory, started))
        self.board.start(job.name, len(task.notebook["cells"]), outcome.why)
        self._tell(job.name)

    def _listen(self, worker: Worker) -> None:
        try:
            while worker.channel.poll():
                what, value = worker.channel.recv()
                if what == "cell":
                    self.board.advance(worker.outcome.job.name, value)
                elif what == "said":
                    worker.said = value
                elif what == "kernel":
                    worker.kernel = value
        except (EOFError, OSError):
            worker.process.join(1.0)

    def _watch(self, worker: Worker) -> None:
        """End a job that takes too long or too much."""
        used, limit = worker.memory.sample(), worker.outcome.job.memory
        if limit is not None and used > limit:
            self._finish(worker, KILLED, f"killed at {used} MiB, over its limit of {limit} MiB")
        elif time.monotonic() >= worker.deadline:
            timeout = worker.outcome.job.timeout
            self._finish(worker, TIMED_OUT, f"stopped after {timeout:g} s, its timeout")

    # --- after

    def _finish(self, worker: Worker, status: str = "", reason: str = "stopped") -> None:
        """Judge a job by what its process left; ``status`` is why we are ending it, if we are."""
        if status:
            stop(worker.process)
        worker.process.join()
        if worker.process.exitcode and worker.process.pid:
            clear(worker.process.pid)
        self._listen(worker)
        worker.channel.close()
        self.running.remove(worker)
        outcome = worker.outcome
        outcome.seconds = time.monotonic() - worker.started
        outcome.memory = worker.memory.peak
        notebook = self._judge(worker, status, reason)
        again = outcome.status in (FAILED, TIMED_OUT, KILLED)
        if again and outcome.attempts <= outcome.job.retries:
            self.board.again(outcome)
            self.waiting = {outcome.job.name: outcome.job, **self.waiting}
            self.outcomes[outcome.job.name] = Outcome(
                outcome.job,
                attempts=outcome.attempts,
                why=f"attempt {outcome.attempts + 1}",
                key=outcome.key,
            )
            self._tell(outcome.job.name)
        elif outcome.status == SUCCEEDED:
            self._keep(worker, notebook)
        else:
            if notebook is not None:
                worker.task.executed.replace(self.run.path / f"{outcome.job.name}.ipynb")
            self._end(outcome, notebook)

    def _judge(self, worker: Worker, status: str, reason: str) -> dict[str, Any] | None:
        """Say how a job ended; returns the notebook as far as it was executed."""
        outcome, task = worker.outcome, worker.task
        notebook = json.loads(task.executed.read_bytes()) if task.executed.is_file() else None
        found = fault(notebook) if notebook else None
        place = last_place(notebook) if notebook else "before its first cell"
        code = worker.process.exitcode
        held = f"it held {worker.memory.peak} MiB"
        outcome.title = title(notebook or task.notebook)
        if status and code != 0:
            outcome.status, outcome.cause = status, f"{reason}, {place}"
        elif worker.kernel is not None or (code is not None and code < 0):
            number = -(worker.kernel if worker.kernel is not None else code or 0)
            outcome.status = KILLED
            outcome.cause = f"its process {_ended_by(number)}; {held}; {place}"
        elif code != 0 or worker.said or notebook is None:
            outcome.status = FAILED
            outcome.cause = worker.said or f"its process ended with exit status {code}"
            outcome.cause += f", {place}"
            outcome.detail = found.detail if found else _tail(task.log)
        elif found:
            outcome.status, outcome.cause = FAILED, found.cause
            outcome.detail, outcome.frame = found.detail, found.frame
        else:
            outcome.status, outcome.summary = SUCCEEDED, read_summary(notebook)
            self._check_outputs(outcome, task)
        if task.secrets:  # a process that was killed had no time to hide them in its log
            secrets = values_of(task.secrets)
            outcome.cause = redact(outcome.cause, secrets)
            outcome.detail = redact(outcome.detail, secrets)
        return notebook

    def _check_outputs(self, outcome: Outcome, task: Task) -> None:
        """A job that did not write what it declares is no success."""
        folder = task.scratch / OUTPUTS
        written = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
        if absent := [name for name in outcome.job.outputs if name not in written]:
            outcome.status = FAILED
            outcome.cause = (
                f"it did not write its output '{absent[0]}'; it wrote: "
                f"{', '.join(written) or 'nothing'}. A notebook writes it to output('{absent[0]}')"
            )
        outcome.outputs = {name: sha256(folder / name) for name in written}
        made = task.scratch / "runs"
        outcome.runs = made.read_text().split() if made.is_file() else []

    def _keep(self, worker: Worker, notebook: dict[str, Any] | None) -> None:
        outcome, scratch = worker.outcome, worker.task.scratch
        key = self.keys[outcome.job.name]
        for each in scratch.iterdir():
            if each.name not in (NOTEBOOK, OUTPUTS):
                shutil.rmtree(each) if each.is_dir() else each.unlink()
        if moved := key.moved():
            outcome.why = f"{moved} changed while it ran, so that it will run again next time"
        result = self.results.keep(key, outcome, scratch, self.run.id, spoilt=bool(moved))
        self._place(result, outcome)
        self._end(outcome, notebook, result)

    def _end(
        self,
        outcome: Outcome,
        notebook: dict[str, Any] | None = None,
        result: Result | None = None,
    ) -> None:
        self.waiting.pop(outcome.job.name, None)
        self.pages.append((outcome, notebook, result))  # later: others may be ready to run
        self.board.end(outcome)
        self._tell(outcome.job.name)

    def _tell(self, *names: str) -> None:
        """Something is new about these jobs."""
        going = {worker.outcome.job.name: RUNNING for worker in self.running}
        for name in names:
            status = WAITING if name in self.waiting else going.get(name)
            self._told[name] = indent(to_json(self.outcomes[name].record(status)).rstrip(), "  ")
        self._news = True

    def _write_jobs(self) -> None:
        """What is known of all jobs; of one that has not changed, in the words of the last time."""
        if self._news:
            text = ",\n".join(self._told[name] for name in self.outcomes)
            write_atomic(self.run.path / "jobs.json", f"[\n{text}\n]\n", synced=False)
            self._news = False


def _ended_by(number: int) -> str:
    if number <= 0:
        return f"ended itself with exit status {-number}"
    name = signal.Signals(number).name if number in {s.value for s in signal.Signals} else ""
    hint = ", perhaps by the system, which was out of memory" if name == "SIGKILL" else ""
    return f"was killed by signal {number}{f' ({name}{hint})' if name else ''}"


def _tail(log: Path, lines: int = 8) -> str:
    text = plain_text(log.read_text(errors="replace")) if log.is_file() else ""
    return "\n".join(text.strip().splitlines()[-lines:])
