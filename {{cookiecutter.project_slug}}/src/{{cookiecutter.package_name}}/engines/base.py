"""What every engine can do."""

from __future__ import annotations

import os
import pickle
import re
import reprlib
import socket
import sys
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from ..config import EngineConfig
from ..errors import UserError, nearest

T = TypeVar("T")
R = TypeVar("R")
Outcome: TypeAlias = tuple[Any, BaseException | None]  # what a function gave, or what it raised

ATTEMPTS = 3  # at an item, or a gang, whose worker dies
GRACE = 5.0  # seconds that the other ranks have to say what they know when one is in trouble


@dataclass(frozen=True)
class Gang:
    """What a rank of a gang knows of the others.

    Attributes:
        rank: its number, from 0.
        size: how many ranks there are.
        host: an address of the machine of rank 0 that all ranks can reach.
        port: a free port there.
    """

    rank: int
    size: int
    host: str
    port: int


class Engine(ABC):
    """Runs functions of modules, which have to be importable on every machine of the engine, on
    arguments that can be pickled. Files lie where all workers find them."""

    def __init__(self, config: EngineConfig) -> None:
        self.config = config

    @abstractmethod
    def map(self, function: Callable[[T], R], items: Sequence[T], what: str) -> list[R]:
        """``function`` of each item, in the order of ``items``; ``what`` names it to whoever waits.

        A worker that dies is replaced and its item done again, so doing an item twice must be the
        same as once.

        Raises:
            UserError: what ``function`` raised, or an item killed its worker again and again.
            Exception: any other that ``function`` raised, with the worker's traceback as a note.
        """

    @abstractmethod
    def gang(self, function: Callable[[Gang, T], R], item: T, size: int) -> list[R]:
        """``function`` once for each rank, all at the same time; their results by rank.

        When a rank dies all are ended and begin again.

        Raises:
            UserError, Exception: as for :meth:`map`.
        """

    def close(self) -> None:  # noqa: B027  # not every engine holds on to something
        """Let go of workers and connections."""


@contextmanager
def open_engine(config: EngineConfig) -> Iterator[Engine]:
    """The engine that ``config`` names, for the length of the block.

    Raises:
        UserError: what it needs is not installed, or its cluster cannot be reached.
    """
    try:
        module = import_module(f".{config.name}", __package__)
        kind = getattr(module, f"{config.name.title()}Engine")
    except (ModuleNotFoundError, AttributeError):
        here = Path(__file__).parent.glob("*.py")
        known = sorted(each.stem for each in here if each.stem not in ("__init__", "base"))
        raise UserError(
            f"engine.name={config.name} runs no parts of work. Those that do: {', '.join(known)}."
            f"{nearest(config.name, known)}"
        ) from None
    engine: Engine = kind(config)
    try:
        yield engine
    finally:
        engine.close()


def attempt(function: Callable[..., Any], *arguments: Any) -> Outcome:
    """Call ``function`` in a worker: what it raises is an outcome, only a death is none."""
    try:
        return function(*arguments), None
    except Exception as error:
        if not isinstance(error, UserError):
            error.add_note(f"In a worker:\n{traceback.format_exc()}")
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:  # an exception of a library that cannot travel
            kind = UserError if isinstance(error, UserError) else RuntimeError
            plain = kind(f"{type(error).__name__}: {error}")
            plain.__notes__ = getattr(error, "__notes__", [])
            return None, plain
        return None, error


def value(outcome: Outcome) -> Any:
    """What an :func:`attempt` gave; raises what it raised."""
    found, error = outcome
    if error is not None:
        raise error
    return found


def values(outcomes: Mapping[int, Outcome], size: int) -> list[Any] | None:
    """The results of a gang by rank; None when a rank died, and so all are to begin again.

    The others fail when one dies or raises; what is for the user to mend comes first.
    """
    errors = [error for _, error in outcomes.values() if error is not None]
    errors.sort(key=lambda error: not isinstance(error, UserError))
    if errors and (isinstance(errors[0], UserError) or len(outcomes) == size):
        raise errors[0]
    return [outcomes[rank][0] for rank in range(size)] if len(outcomes) == size else None


def lost(what: str, item: object, reason: str) -> UserError:
    """What to tell a person when ``item`` has taken its worker with it :data:`ATTEMPTS` times."""
    return UserError(
        f"{what}: {reprlib.repr(item)} ended its worker {ATTEMPTS} times ({reason}). Was it killed "
        "for its memory? Fewer workers at a time (engine.workers), or smaller parts, need less."
    )


def environment() -> dict[str, str]:
    """What a worker's environment has to say: our paths, and one thread for each library.

    A thread that has nothing to do does not keep a core busy.
    """
    threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return {
        **dict.fromkeys(threads, "1"),
        "OMP_WAIT_POLICY": "PASSIVE",
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as free:
        free.bind(("", 0))
        return int(free.getsockname()[1])


def reach(address: str, example: str, seconds: float = 10.0) -> None:
    """See that a cluster listens at ``address``, whose library would try for minutes.

    Raises:
        UserError: nobody does. An address without a port is left to the library.
    """
    found = re.search(r"([^/:@]+|\[[^]]+\]):(\d+)$", address.rstrip("/"))
    if found is None:
        return
    try:
        socket.create_connection((found[1].strip("[]"), int(found[2])), seconds).close()
    except (OSError, OverflowError) as error:
        raise UserError(
            f"engine.address={address}: nothing answers there ({error}). Is the cluster up? "
            f"An address is written as {example}; null starts a cluster on this machine."
        ) from error


def missing(group: str) -> UserError:
    """What to tell a person about an engine whose dependency group is not installed."""
    return UserError(
        f'engine={group} is not installed: add "{group}" to default-groups in pyproject.toml, '
        "then make setup"
    )
