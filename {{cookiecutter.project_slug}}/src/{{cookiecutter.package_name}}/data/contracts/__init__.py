"""Contracts: what must hold of a table, checked wherever rows cross a boundary."""

from .check import check
from .contract import ColumnRule, Contract, Freshness, Policy, RowRule, Type
from .document import read_contract, write_contract
from .quarantine import divide, set_aside
from .report import Breach, Report
from .rows import RowCheck, check_rows, without

__all__ = [
    "Breach",
    "ColumnRule",
    "Contract",
    "Freshness",
    "Policy",
    "Report",
    "RowCheck",
    "RowRule",
    "Type",
    "check",
    "check_rows",
    "divide",
    "read_contract",
    "set_aside",
    "without",
    "write_contract",
]
