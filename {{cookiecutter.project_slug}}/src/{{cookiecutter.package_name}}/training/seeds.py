"""One seed, many random streams, each with a name: adding one never moves another."""

from __future__ import annotations

import zlib

import numpy as np


def stream(seed: int, name: str) -> np.random.Generator:
    """The random stream ``name`` of a run; the same for the same seed and name."""
    return np.random.Generator(np.random.PCG64(_sequence(seed, name)))


def integer(seed: int, name: str) -> int:
    """A seed in ``[0, 2**31)`` for a library that takes a number."""
    return int(_sequence(seed, name).generate_state(1)[0] >> 1)


def _sequence(seed: int, name: str) -> np.random.SeedSequence:
    return np.random.SeedSequence([seed, zlib.crc32(name.encode())])
