"""Notebooks as jobs: typed parameters, a checked plan, truthful status, a report for each."""

from .summary import Summary, read_summary, summarise

__all__ = ["Summary", "read_summary", "summarise"]
