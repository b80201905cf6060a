"""Processes of this machine.

A worker has one item at a time, so that it is known which one killed it, which the executors of
the standard library and of joblib do not tell. Whoever ends us, and however, ends the workers.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any

from threadpoolctl import threadpool_limits

from ..config import EngineConfig
from ..progress import track
from .base import (
    ATTEMPTS,
    GRACE,
    Engine,
    Gang,
    Outcome,
    R,
    T,
    attempt,
    environment,
    free_port,
    lost,
    value,
    values,
)


class LocalEngine(Engine):
    """See :class:`~.base.Engine`. With one worker, or for one item, nothing is started."""

    def __init__(self, config: EngineConfig) -> None:
        super().__init__(config)
        self._idle: list[_Worker] = []

    def map(self, function: Callable[[T], R], items: Sequence[T], what: str) -> list[R]:
        if min(self.config.workers, len(items)) <= 1:
            with threadpool_limits(1, user_api="blas"):  # as in a worker: sums depend on it
                return [function(item) for item in track(items, what)]
        found: dict[int, R] = {}
        busy: dict[Connection, tuple[_Worker, int]] = {}
        try:
            for index, outcome in track(self._map(function, items, what, busy), what, len(items)):
                found[index] = value(outcome)
        finally:
            for worker, _ in busy.values():
                worker.end()
        return [found[index] for index in range(len(items))]

    def _map(
        self,
        function: Callable[[T], R],
        items: Sequence[T],
        what: str,
        busy: dict[Connection, tuple[_Worker, int]],
    ) -> Iterator[tuple[int, Outcome]]:
        """The outcomes as they come, each with the number of its item."""
        left, deaths = deque(range(len(items))), Counter[int]()
        while left or busy:
            while left and len(busy) < self.config.workers:
                worker, index = self._worker(), left.popleft()
                worker.give(function, items[index])
                busy[worker.pipe] = worker, index
            for pipe in wait(list(busy)):
                assert isinstance(pipe, Connection)
                worker, index = busy.pop(pipe)
                if (outcome := worker.take()) is not None:
                    self._idle.append(worker)
                    yield index, outcome
                    continue
                left.appendleft(index)
                deaths[index] += 1
                if deaths[index] == ATTEMPTS:
                    raise lost(what, items[index], worker.ending())

    def gang(self, function: Callable[[Gang, T], R], item: T, size: int) -> list[R]:
        for _ in range(ATTEMPTS):
            workers = [self._worker() for _ in range(size)]
            outcomes: dict[int, Outcome] = {}
            try:
                port, ranks = free_port(), {}
                for rank, worker in enumerate(workers):
                    worker.give(function, Gang(rank, size, "127.0.0.1", port), item)
                    ranks[worker.pipe] = rank
                patience: float | None = None
                while ranks and (ready := wait(list(ranks), patience)):
                    for pipe in ready:
                        assert isinstance(pipe, Connection)
                        rank = ranks.pop(pipe)
                        if (outcome := workers[rank].take()) is not None:
                            outcomes[rank] = outcome
                        if outcome is None or outcome[1] is not None:
                            patience = GRACE
                found = values(outcomes, size)
            except BaseException:
                for worker in workers:
                    worker.end()
                raise
            if found is not None:
                self._idle += workers
                return found
            for worker in workers:
                worker.end()
        raise lost("a gang", item, "; ".join({each.ending() for each in workers}))

    def _worker(self) -> _Worker:
        return self._idle.pop() if self._idle else _Worker()

    def close(self) -> None:
        for worker in self._idle:
            worker.end()
        self._idle.clear()


class _Worker:
    """A process that does one thing after another.

    It is a program of its own rather than a fork or a spawn of :mod:`multiprocessing`: threads are
    not copied, and the main module, which may be a notebook, is not run again.
    """

    def __init__(self) -> None:
        self.pipe, there = Pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-c", f"from {__name__} import work; work({there.fileno()})"],
            env={**os.environ, **environment()},
            pass_fds=[there.fileno()],
            stdin=subprocess.DEVNULL,
            process_group=0,  # Ctrl-C is ours to hear
        )
        there.close()

    def give(self, function: Callable[..., Any], *arguments: Any) -> None:
        with contextlib.suppress(OSError):  # it is dead, and :meth:`take` will say so
            self.pipe.send((function, *arguments))

    def take(self) -> Outcome | None:
        """What came of it; None when the process has died."""
        try:
            outcome, heard = self.pipe.recv()
        except (EOFError, OSError):
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(1)  # how it has ended is known a little later
            self.end()
            return None
        for message, category, file, line in heard:  # Python's filter shows one of many once
            warnings.warn_explicit(message, category, file, line, registry=_heard)
        return outcome

    def end(self) -> None:
        self.pipe.close()
        self._process.kill()
        self._process.wait()

    def ending(self) -> str:
        status = self._process.returncode
        return signal.Signals(-status).name if status < 0 else f"exit status {status}"


_heard: dict[Any, Any] = {}  # warnings of workers that were shown


def work(handle: int) -> None:
    """What a worker does: items from the pipe ``handle``, until it closes."""
    os.set_inheritable(handle, False)
    # An end of its own: an item that leaves by `sys.exit` closes ours before the process has ended.
    threading.Thread(target=_end_with, args=[os.dup(handle)], daemon=True).start()
    pipe = Connection(handle)
    while True:
        try:
            given = pipe.recv()
        except EOFError:
            return
        with warnings.catch_warnings(record=True) as caught:
            outcome = attempt(*given)
        heard = [(str(each.message), each.category, each.filename, each.lineno) for each in caught]
        pipe.send((outcome, heard))


def _end_with(handle: int) -> None:
    """End this process, in the middle of whatever it does, when the other end has gone."""
    poll = select.poll()
    poll.register(handle, select.POLLHUP)
    poll.poll()
    os._exit(1)
