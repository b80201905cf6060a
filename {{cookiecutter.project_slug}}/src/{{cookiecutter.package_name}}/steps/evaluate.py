"""Judge the model of the step ``train`` on test rows."""

from __future__ import annotations

import os
import sys

from .. import workflow
from ..config import Config, load_config
from ..runs import read_manifest, write_atomic
from . import places


def run(config: Config) -> None:
    places.take_over("ingest", "features")
    # The step's place is a run folder as far as it goes, also where the run itself never was.
    trained = os.path.relpath(places.folder("train"))
    result = workflow.evaluate(load_config([*config.overrides, f"evaluation.run='{trained}'"]))
    print(result.report("test"))
    places.leave_run("evaluate", result.folder, ["slices.csv", "plots"])
    found = places.metrics(read_manifest(result.folder), "test", result.name)
    write_atomic(places.folder("evaluate") / "metrics.json", found)
    if result.card:
        print(f"card: {os.path.relpath(result.card)}")
    if result.looks:
        print(result.looks.describe(), file=sys.stderr)
