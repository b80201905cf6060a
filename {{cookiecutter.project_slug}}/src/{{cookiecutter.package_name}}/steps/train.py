"""Train the model, and judge it on validation rows."""

from __future__ import annotations

from .. import workflow
from ..config import Config
from ..runs import read_manifest, write_atomic
from . import places


def run(config: Config) -> None:
    places.take_over("ingest", "features")
    result = workflow.train(config)
    print(result.report("valid"))
    places.leave_run("train", result.folder, ["model", "plots", "manifest.json"])
    found = places.metrics(read_manifest(result.folder), "valid", result.name)
    write_atomic(places.folder("train") / "metrics.json", found)
