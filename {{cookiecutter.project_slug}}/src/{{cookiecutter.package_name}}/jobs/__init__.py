"""Notebooks as jobs: typed parameters, a checked plan, truthful status, a report for each."""

from .folder import needed, output
from .secret import Secret
from .summary import Summary, read_summary, summarise

__all__ = ["Secret", "Summary", "needed", "output", "read_summary", "summarise"]
