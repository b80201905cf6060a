"""The configuration composes and its jobs can start."""

from .options import GATE, RULES, main

__all__ = ["GATE", "RULES", "main"]
