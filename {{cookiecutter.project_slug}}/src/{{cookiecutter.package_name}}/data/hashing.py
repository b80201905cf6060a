"""Counter-based random draws: a value depends on its name and counters, never on call order.

That is what lets a shard of users be simulated anywhere, in any split, with the same rows
(splitmix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
Only integers are involved, so the same rows come out on every machine.
"""

from __future__ import annotations

import zlib
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
    state = _mix(np.array([seed ^ (zlib.crc32(name.encode()) << 32)], dtype=np.uint64))
    for counter in counters:
        state = _mix(state ^ _mix(np.atleast_1d(np.asarray(counter)).astype(np.uint64)))
    return state


def below(bits: UInt64, bound: int) -> Int64:
    """Uniform integers in ``[0, bound)``; ``bound`` is far below 2**32."""
    return ((bits >> np.uint64(32)) * np.uint64(bound) >> np.uint64(32)).astype(np.int64)


def normal(bits: UInt64) -> Int64:
    """Standard normal draws in thousandths."""
    return _NORMAL[(bits >> np.uint64(52)).astype(np.int64)]


def choose(bits: UInt64, cumulative: UInt64) -> Int64:
    """Indices drawn with the weights whose :func:`cumulative_weights` are given."""
    return np.searchsorted(cumulative, bits >> np.uint64(32), side="right").astype(np.int64)


def cumulative_weights(weights: list[float]) -> UInt64:
    """Weights as rising thresholds in ``[0, 2**32]``, for :func:`choose`."""
    total, rising, thresholds = sum(weights), 0.0, []
    for weight in weights:
        rising += weight
        thresholds.append(round(rising / total * 2**32))
    return np.array(thresholds, dtype=np.uint64)


def _mix(state: UInt64) -> UInt64:
    with np.errstate(over="ignore"):
        state = state + _GAMMA
        state = (state ^ (state >> np.uint64(30))) * _MIX1
        state = (state ^ (state >> np.uint64(27))) * _MIX2
    return state ^ (state >> np.uint64(31))
