"""What a model says while it learns, to whoever listens; a search stops hopeless trials by it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Listener = Callable[[int, float], None]

_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def listen(listener: Listener) -> Iterator[None]:
    """Let ``listener`` hear of every round that a model learns within the block.

    It gets the number of the round, from 0, and the loss on the validation rows (lower is better).
    What it raises ends the fit.
    """
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def is_heard() -> bool:
    """Whether anybody listens, for models to which telling costs something."""
    return _listener.get() is not None


def report(number: int, loss: float) -> None:
    """For a model to call after each round (epoch, tree); costs nothing when nobody listens."""
    if (listener := _listener.get()) is not None:
        listener(number, loss)
