"""The typed schema of ``conf/scoring/``: what is scored, with which model, and where it goes."""

from __future__ import annotations

from dataclasses import dataclass

from .schema import Section


@dataclass
class ScoringConfig(Section):
    run: str = "latest"
    top_k: int = 5
    candidates: int = 20
    batch: int = 16_384
    as_of: int | None = None
    input: str | None = None
    output: str | None = None


BOUNDS = {
    "scoring.top_k": (lambda v: v >= 1, "1 or more"),
    "scoring.candidates": (lambda v: v >= 1, "1 or more"),
    "scoring.batch": (lambda v: v >= 1, "1 or more"),
    "scoring.as_of": (lambda v: v >= 0, "0 or more, 0 is the first day"),
}
