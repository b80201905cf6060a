"""The seeded faults of all rules, a module for each family."""

from __future__ import annotations

import pkgutil
from importlib import import_module

from ..planting import Fault

FAULTS: tuple[Fault, ...] = tuple(
    fault
    for module in pkgutil.iter_modules(__path__)
    for fault in import_module(f".{module.name}", __package__).FAULTS
)
