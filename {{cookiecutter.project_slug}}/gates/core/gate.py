"""What a gate is: rules, and functions that look for what breaks them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from .files import File
from .rules import Finding, Rule
from .settings import Settings

if TYPE_CHECKING:
    from ..pairs.stamps import Stamps


def command() -> str:
    """How whoever started this program would start it again."""
    if Path(sys.argv[0]).name == "gates":
        return "gates"
    python, here = Path(sys.executable), Path.cwd()
    name = python.relative_to(here) if python.is_relative_to(here) else python.name
    return f"{name} -m gates"


@dataclass
class Context:
    """What gates share while they run: the repository, its settings, and what pairs remember."""

    root: Path
    settings: Settings

    @cached_property
    def stamps(self) -> Stamps:
        from ..pairs.stamps import Stamps

        return Stamps(self.root)

    def close(self) -> None:
        if "stamps" in self.__dict__:
            self.stamps.save()


@dataclass(frozen=True)
class Gate:
    """Rules with the functions that look for them; a gate has at least one of these.

    Attributes:
        on_file: Looks at a notebook or a module that could be read.
        on_path: Looks at the path of a notebook, of which or of whose script only one need exist.
        on_project: Looks at the repository as a whole; runs once.
        fix: Mends the notebook at a path; called only where this gate has found something.
            True when a file was written.
    """

    rules: tuple[Rule, ...]
    on_file: Callable[[File, Context], Iterator[Finding]] | None = None
    on_path: Callable[[Path, Context], Iterator[Finding]] | None = None
    on_project: Callable[[Context], Iterator[Finding]] | None = None
    fix: Callable[[Path, Context], bool] | None = None

    def main(self, argv: Sequence[str] | None = None) -> int:
        """Run this gate alone; the exit status is 1 where it finds something."""
        from ..__main__ import check

        return check(argv, [self])
