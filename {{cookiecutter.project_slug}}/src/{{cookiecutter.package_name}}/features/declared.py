"""What a feature is: a name, a kind, a reason and an expression."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from ..config import FeaturesConfig
from ..data.examples import Kind
from ..errors import UserError


@dataclass(frozen=True)
class Feature:
    """One declared feature; ``expression`` turns the joined table into an Ibis column."""

    name: str
    kind: Kind
    why: str
    expression: Callable[[Any], Any]


def select(names: Sequence[str], config: FeaturesConfig) -> list[str]:
    """The names that match a pattern of ``include`` and none of ``exclude``, in their order.

    Raises:
        UserError: nothing is left.
    """

    def matches(name: str, patterns: list[str]) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in patterns)

    chosen = [n for n in names if matches(n, config.include) and not matches(n, config.exclude)]
    if not chosen:
        raise UserError(
            f"features.include={config.include}, features.exclude={config.exclude}: no feature is "
            f"left. There are: {', '.join(names)}."
        )
    return chosen
