"""Mistakes that make a score better than the model, in notebooks and modules."""

from .mistakes import GATE, RULES, main

__all__ = ["GATE", "RULES", "main"]
