"""A notebook and its script in step: how they are read, merged and remembered."""

from .pairing import GATE, RULES, main

__all__ = ["GATE", "RULES", "main"]
