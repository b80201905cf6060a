"""What makes a notebook give another result tomorrow, or none."""

from .notebooks import GATE, RULES, main

__all__ = ["GATE", "RULES", "main"]
