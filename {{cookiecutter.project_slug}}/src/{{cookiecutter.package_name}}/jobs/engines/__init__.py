"""Two ways to execute a notebook, one interface; nothing heavy is imported here.

``kernel`` is papermill over nbclient with a Jupyter kernel in a process of its own; ``inprocess``
runs the cells in the job's process itself, for smoke tests. Both leave the same bytes.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

ENGINES = ("kernel", "inprocess")


class KernelEnded(Exception):
    """The kernel's process ended by itself, with this return code (negative: a signal)."""

    def __init__(self, returncode: int) -> None:
        super().__init__(f"the kernel ended with {returncode}")
        self.returncode = returncode


class Engine(Protocol):
    """One execution of one notebook, in a process that is its own."""

    def __init__(
        self, notebook: Mapping[str, Any], scratch: Path, begun: Callable[[int], None]
    ) -> None:
        """Prepare; nothing of the notebook runs yet.

        Args:
            notebook: nbformat 4 JSON; not changed.
            scratch: a folder of its own for sockets and the like.
            begun: called with the index of each cell as it begins.
        """

    def run(self) -> None:
        """Execute until the end or the first error of a cell.

        Raises:
            KernelEnded: the kernel is gone.
            Exception: anything else that is not the notebook's own error.
        """

    def cells(self) -> Sequence[Mapping[str, Any]]:
        """Outputs and execution count of each code cell as they are at this moment."""

    def close(self) -> None:
        """End what is left of it; may be called at any moment, also by a signal handler."""


def load(name: str) -> type[Engine]:
    """The engine called ``name``; imports all that it needs."""
    module = importlib.import_module(f".{name}", __package__)
    engine: type[Engine] = module.ENGINE
    return engine
