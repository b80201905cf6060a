"""Contracts: what must hold of a table, checked wherever rows cross a boundary."""

from .check import check
from .contract import ColumnRule, Contract, Freshness, RowRule
from .document import read_contract, write_contract
from .quarantine import divide
from .report import Breach, Report
from .rows import RowCheck, check_rows, without

__all__ = [
    "Breach",
    "ColumnRule",
    "Contract",
    "Freshness",
    "Report",
    "RowCheck",
    "RowRule",
    "check",
    "check_rows",
    "divide",
    "read_contract",
    "without",
    "write_contract",
]
