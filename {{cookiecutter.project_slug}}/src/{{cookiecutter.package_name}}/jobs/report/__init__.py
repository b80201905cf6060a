"""HTML reports: a page for each job and an index for the run.

Each page is one file: styles and figures inside, no scripts, nothing fetched from elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...runs import Run
from ..outcome import Outcome


def write_page(run: Run, outcome: Outcome, notebook: Mapping[str, Any] | None) -> None:
    """Write ``<job>.html``; ``notebook`` is the executed one, None when there is none."""
    from . import page  # pages need much that an index does not

    page.write_page(run, outcome, notebook)


def write_index(run: Run, outcomes: Sequence[Outcome]) -> None:
    """Write ``index.html``: every job with its status and what it found, failures first."""
    from . import index

    index.write_index(run, outcomes)


def get_ready() -> None:
    """Import what a page needs, at a moment when nobody waits."""
    from . import cells, page  # noqa: F401

    cells.get_ready()
