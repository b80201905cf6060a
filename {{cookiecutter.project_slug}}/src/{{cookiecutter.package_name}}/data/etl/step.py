"""A step: a named function from rows to rows, with a version."""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from duckdb import DuckDBPyRelation as Rows
else:
    Rows = Any


@dataclass(frozen=True)
class Step:
    """One transformation of the rows of a partition; :func:`step` makes it of a function."""

    name: str
    function: Callable[..., Rows]
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, rows: Rows) -> Rows:
        """The rows after this step, not yet computed; a step sees one partition, in its order."""
        return self.function(rows, **self.parameters)

    @property
    def version(self) -> str:
        """Changes with the parameters, and with the file in which the function stands.

        All of the file, since a function may use those beside it; not what it imports.
        """
        source = inspect.getsourcefile(self.function)
        path = Path(source) if source else None
        # Code of a notebook has no file.
        code = path.read_text() if path and path.is_file() else inspect.getsource(self.function)
        content = [self.name, dict(self.parameters), code]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def step(function: Callable[..., Rows]) -> Callable[..., Step]:
    """Make a step of ``function(rows, **parameters)``.

    Call it with the parameters, by name and plain values such as JSON holds, to get the
    :class:`Step`::

        @step
        def priced(rows: Rows, factor: float) -> Rows:
            return rows.query("rows", f"SELECT *, price * {factor} AS net FROM rows")

        priced(factor=0.81)
    """

    @functools.wraps(function)
    def make(**parameters: Any) -> Step:
        json.dumps(parameters)  # a value that cannot be compared with the last run's fails here
        inspect.signature(function).bind(None, **parameters)  # and a misspelt name here
        return Step(function.__name__, function, parameters)

    return make
