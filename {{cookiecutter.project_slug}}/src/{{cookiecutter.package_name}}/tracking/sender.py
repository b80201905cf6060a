"""Send what waits; one at a time on a machine."""

from __future__ import annotations

import datetime
import os
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..config.tracking import TrackingConfig
from ..errors import UserError
from ..runs import locks, settle
from ..runs.files import make_folder
from . import outbox, store

LINGER = 5.0  # seconds a sender waits for the next run: to start one takes longer
LOG_SIZE = 1 << 20  # bytes

Say = Callable[[str], None]


@contextmanager
def sending(patience: float = 0.0) -> Iterator[bool]:
    """Whether nobody else sends on this machine; for the length of the block, nobody will.

    Waits up to ``patience`` seconds for another one.
    """
    make_folder(outbox.folder())
    path, until = outbox.folder() / outbox.LOCK, time.monotonic() + patience
    while (handle := locks.hold(path, "sender")) is None and time.monotonic() < until:
        time.sleep(0.1)
    try:
        yield handle is not None
    finally:
        if handle is not None:
            locks.release(path, handle)


def send_waiting(say: Say, again: bool = False) -> tuple[int, int, int]:
    """Send all that waits, the oldest first; how many were sent, were refused, and still wait.

    A store that does not answer is not asked again for the next run.
    """
    settle()
    return _Sender(say).send(outbox.Outbox().waiting(again))


def work(say: Say, linger: float = LINGER) -> None:
    """What a sender in the background does: send what waits, wait for more, and end.

    It may be ended at any moment. Who finds one at work starts no other; so it looks once more
    after it has said that it is gone.
    """
    os.nice(10)  # the next run of a sweep is what matters
    _shorten(outbox.folder() / outbox.LOG)
    found, sender = outbox.Outbox(), _Sender(say)
    while True:
        with sending() as alone:
            if not alone:
                return
            settle()
            until = time.monotonic() + linger
            while time.monotonic() < until:
                if new := sender.new(found.waiting()):
                    sender.send(new)
                    until = time.monotonic() + linger
                time.sleep(0.5)
        if not sender.new(found.waiting()):
            return


class _Sender:
    def __init__(self, say: Say) -> None:
        self._say = say
        self._tried: set[Path] = set()
        self._away: set[str] = set()

    def new(self, waiting: list[tuple[Path, TrackingConfig]]) -> list[tuple[Path, TrackingConfig]]:
        """Those not tried yet, whose store has answered so far."""
        return [
            (run, config)
            for run, config in waiting
            if run not in self._tried and outbox.place(config) not in self._away
        ]

    def send(self, waiting: list[tuple[Path, TrackingConfig]]) -> tuple[int, int, int]:
        sent = refused = left = 0
        for run, config in waiting:
            where = outbox.place(config)
            if where in self._away:
                left += 1
                continue
            self._tried.add(run)
            try:
                number = deliver(run, config)
            except Exception as error:
                if isinstance(error, UserError) or store.is_refusal(error):
                    refused += 1
                    why = store.in_short(error)
                    self._say(f"{run.name}  refused by {where}: {why}")
                    if not isinstance(error, UserError) and not store.is_of_the_store(error):
                        self._say(traceback.format_exc())  # a mistake of ours
                    outbox.mark(run, where, state="refused", why=why)
                    continue
                left += 1
                self._away.add(where)
                self._say(f"{run.name}  waits: {where} did not answer: {store.in_short(error)}")
                since = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
                why = store.in_short(error)
                outbox.set_trouble({"since": since, "where": where, "why": why})
            else:
                sent += 1
                self._say(f"{run.name}  sent to {where} as {number}")
        if sent and not self._away:
            outbox.set_trouble(None)
        return sent, refused, left


def deliver(run: Path, config: TrackingConfig) -> str:
    """Send one run and note that it was; its id in MLflow.

    Raises:
        UserError: as :func:`.transfer.send`.
        MlflowException: the same.
    """
    from .transfer import send

    number = send(store.connect(config), config, run)
    outbox.mark(run, outbox.place(config), state="sent", number=number)
    return number


def _shorten(log: Path) -> None:
    """Keep the newer half of a log that has grown; those who write to it have it open."""
    try:
        if log.stat().st_size > LOG_SIZE:
            text = log.read_bytes()[-LOG_SIZE // 2 :]
            os.truncate(log, 0)
            with log.open("ab") as file:
                file.write(text)
    except OSError:
        pass
