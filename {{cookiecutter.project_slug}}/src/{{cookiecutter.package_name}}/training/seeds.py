"""One seed, many random streams, each with a name: adding one never moves another."""

from __future__ import annotations

import os
import zlib
from importlib.util import find_spec

import numpy as np


def stream(seed: int, name: str) -> np.random.Generator:
    """The random stream ``name`` of a run; the same for the same seed and name."""
    return np.random.Generator(np.random.PCG64(_sequence(seed, name)))


def integer(seed: int, name: str) -> int:
    """A seed in ``[0, 2**31)`` for a library that takes a number."""
    return int(_sequence(seed, name).generate_state(1)[0] >> 1)


def settle_torch(seed: int, name: str) -> None:
    """Let PyTorch, when it is installed, compute the same bits each time; a model that uses it
    calls this before anything else of it.

    Raises:
        RuntimeError: later, by torch, where an operation has no deterministic form.
    """
    if find_spec("torch") is None:
        return
    import torch

    # Of the GPU's library of linear algebra; read when it starts.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    torch.manual_seed(integer(seed, name))


def _sequence(seed: int, name: str) -> np.random.SeedSequence:
    return np.random.SeedSequence([seed, zlib.crc32(name.encode())])
