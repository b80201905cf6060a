"""The seeded faults of all rules, a module for each family."""

from __future__ import annotations

from ..planting import Fault
from . import configs, exceptions, hygiene, layout, learning, pairing, project, reproducible

FAULTS: tuple[Fault, ...] = (
    *layout.FAULTS,
    *reproducible.FAULTS,
    *hygiene.FAULTS,
    *pairing.FAULTS,
    *learning.FAULTS,
    *configs.FAULTS,
    *project.FAULTS,
    *exceptions.FAULTS,
)
