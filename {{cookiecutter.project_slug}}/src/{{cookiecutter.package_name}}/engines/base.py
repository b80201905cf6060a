"""What every engine can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import TypeVar

from ..config import EngineConfig

T = TypeVar("T")
R = TypeVar("R")


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
        """

    @abstractmethod
    def gang(self, function: Callable[[Gang, T], R], item: T, size: int) -> list[R]:
        """``function`` once for each rank, all at the same time; their results by rank.

        When a rank dies all are ended and begin again.
        """

    def close(self) -> None:
        """Let go of workers and connections."""


@contextmanager
def open_engine(config: EngineConfig) -> Iterator[Engine]:
    """The engine that ``config`` names, for the length of the block.

    Raises:
        UserError: what it needs is not installed, or its cluster cannot be reached.
    """
    module = import_module(f".{config.name}", __package__)
    engine: Engine = getattr(module, f"{config.name.title()}Engine")(config)
    try:
        yield engine
    finally:
        engine.close()
