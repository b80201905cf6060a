"""How tests measure the memory of a process that they start."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

STATUS = Path("/proc/self/status")
needs_peak = pytest.mark.skipif(not STATUS.exists(), reason="memory is read from /proc")


def peak() -> int:
    """The most memory that this process has had, in KiB.

    What ``resource.getrusage`` says begins with the peak of the process that started it.
    """
    found = re.search(r"VmHWM:\s+(\d+)", STATUS.read_text())
    assert found is not None
    return int(found[1])
