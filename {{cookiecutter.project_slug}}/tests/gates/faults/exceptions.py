"""EX7: comments that allow something."""

from __future__ import annotations

from ..planting import Fault, cell

FAULTS = (
    Fault(
        "EX701",
        "an import that is allowed, but not why",
        cell("import os  # gates: allow NB112"),
        cell("import os  # gates: allow NB112 - shown to beginners where it is used"),
        also=frozenset({"NB112"}),
    ),
    Fault(
        "EX702",
        "an exception that nothing needs",
        cell("total = count  # gates: allow NB112 - shown to beginners"),
        cell("total = count"),
    ),
)
