"""The typed schema of ``conf/tracking/``: where runs are told of besides ``runs/``."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from .schema import Section


@dataclass
class TrackingConfig(Section):
    """``uri`` None is the embedded store below the runs folder. ``timeout`` and ``wait`` are in
    seconds: what one request may take, and how long a run waits at its end to have been sent."""

    name: str = "none"
    uri: str | None = None
    experiment: str = "default"
    model: str | None = None
    gate: str = "better"
    timeout: int = 10
    wait: float = 0.0
    leave_out: list[str] = field(default_factory=list)

    def run_ended(self, folder: Path) -> None:
        """Hand the run over; never fails, and never waits for a server unless it is to."""
        if self.name != "none":
            import_module("..tracking", __package__).hand_over(folder, self)


BOUNDS = {
    "tracking.name": (lambda v: v in ("none", "mlflow"), "none or mlflow"),
    "tracking.uri": (
        lambda v: re.fullmatch(r"\w+://[^@]*", v),
        "an address such as http://mlflow.example:5000, without a password: that stands in the "
        "environment, in MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
    ),
    "tracking.gate": (lambda v: v in ("better", "no worse"), "better or 'no worse'"),
    "tracking.timeout": (lambda v: v >= 1, "1 or more, in seconds"),
    "tracking.wait": (lambda v: v >= 0, "0 or more, in seconds"),
}
