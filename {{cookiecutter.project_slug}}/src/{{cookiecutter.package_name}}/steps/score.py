"""Score with the model of the step ``train``."""

from __future__ import annotations

import os

from ..config import Config, load_config
from ..scoring import score
from . import places


def run(config: Config) -> None:
    """The best items of each user of the shop, or a prediction for each row of a table."""
    places.take_over("ingest", "features")
    trained = os.path.relpath(places.folder("train"))
    result = score(load_config([*config.overrides, f"scoring.run='{trained}'"]))
    print(result.report())
    places.leave("score", result.folder)
