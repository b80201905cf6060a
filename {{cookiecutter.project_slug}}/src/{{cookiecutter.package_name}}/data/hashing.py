"""Counter-based random draws: a value depends on its name and counters, never on call order.

That is what lets a shard of users be simulated anywhere, in any split, with the same rows
(splitmix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
Only integers are involved, so the same rows come out on every machine.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

UInt64 = NDArray[np.uint64]
Int64 = NDArray[np.int64]

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX2 = np.uint64(0x94D049BB133111EB)
# Quantiles of the standard normal distribution, in thousandths.
_NORMAL: Int64 = np.array(
    [round(1000 * NormalDist().inv_cdf((i + 0.5) / 4096)) for i in range(4096)], dtype=np.int64
)


def draw(seed: int, name: str, *counters: NDArray[np.integer] | int) -> UInt64:
    """64 random bits for each element of the broadcast ``counters``, from the stream ``name``."""
    state = stream(seed, name)
    for counter in counters:
        state = follow(state, mixed(counter))
    return state


def stream(seed: int, name: str) -> UInt64:
    """Where the draws of a stream begin. ``draw(seed, name, a, b)`` is
    ``follow(follow(stream(seed, name), mixed(a)), mixed(b))``, whose parts many draws can share."""
    return _mix(np.array([seed ^ (zlib.crc32(name.encode()) << 32)], dtype=np.uint64))


def mixed(counter: NDArray[np.integer] | int) -> UInt64:
    """The bits of a counter, as :func:`follow` takes them."""
    return _mix(np.atleast_1d(np.asarray(counter)).astype(np.uint64))


def follow(state: UInt64, counter: UInt64) -> UInt64:
    """The draws that come after ``state`` for each of the :func:`mixed` counters."""
    return _mix(state ^ counter)


def below(bits: UInt64, bound: int) -> Int64:
    """Uniform integers in ``[0, bound)``; ``bound`` is far below 2**32."""
    drawn = bits >> np.uint64(32)
    drawn *= np.uint64(bound)
    drawn >>= np.uint64(32)
    return drawn.view(np.int64)


def one_in(bits: UInt64, bound: int) -> NDArray[np.bool_]:
    """Where :func:`below` is 0, in one step."""
    return bits < np.uint64(-(-(2**32) // bound) << 32)


def normal(bits: UInt64) -> Int64:
    """Standard normal draws in thousandths."""
    return np.take(_NORMAL, (bits >> np.uint64(52)).view(np.int64))


class Weights:
    """Weights as rising thresholds in ``[0, 2**32]``, and what :func:`choose` finds for each of the
    first 16 bits of a draw: an index, or -1 where the other bits decide."""

    def __init__(self, weights: Sequence[float]) -> None:
        total, rising, thresholds = sum(weights), 0.0, []
        for weight in weights:
            rising += weight
            thresholds.append(round(rising / total * 2**32))
        self.thresholds: UInt64 = np.array(thresholds, dtype=np.uint64)
        edges = np.arange(2**16 + 1, dtype=np.uint64) << np.uint64(16)
        first = np.searchsorted(self.thresholds, edges[:-1], side="right")
        last = np.searchsorted(self.thresholds, edges[1:] - np.uint64(1), side="right")
        self.known: Int64 = np.where(first == last, first, -1)


def choose(bits: UInt64, weights: Weights) -> Int64:
    """Indices drawn with the probabilities that ``weights`` give."""
    index = np.take(weights.known, (bits >> np.uint64(48)).view(np.int64))
    open_ = index < 0
    index[open_] = np.searchsorted(weights.thresholds, bits[open_] >> np.uint64(32), side="right")
    return index


def _mix(state: UInt64) -> UInt64:
    state = state + _GAMMA  # a new array; what follows is in place
    state ^= state >> np.uint64(30)
    state *= _MIX1
    state ^= state >> np.uint64(27)
    state *= _MIX2
    state ^= state >> np.uint64(31)
    return state
