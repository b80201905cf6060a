"""The typed schema of ``conf/tracking/``: where runs are told of besides ``runs/``."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from .schema import Section


@dataclass
class TrackingConfig(Section):
    name: str = "none"
    uri: str | None = None
    experiment: str = "default"

    def run_ended(self, folder: Path) -> None:
        """Hand the run over; never fails, and never waits for a server."""
        if self.name != "none":
            import_module("..tracking", __package__).hand_over(folder, self)


BOUNDS = {"tracking.name": (lambda v: v in ("none", "mlflow"), "none or mlflow")}
