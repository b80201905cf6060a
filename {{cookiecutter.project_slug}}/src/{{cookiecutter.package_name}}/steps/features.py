"""Build the features, and say what they are."""

from __future__ import annotations

from .. import features
from ..config import Config, ShopConfig
from ..runs.files import write_atomic
from ..runs.manifest import to_json
from . import places


def run(config: Config) -> None:
    """For the shop, its features by shard; those of a table are columns of its rows."""
    places.take_over("ingest")
    examples = features.build(config)
    if isinstance(config.data, ShopConfig):
        from ..features.shop import plan

        places.leave("features", plan(config).folder)
    else:
        places.leave("features")
    described = {
        "rows": len(examples),
        "schema": examples.schema.to_dict(),
        "meaning": examples.meaning,
        "notes": examples.notes,
    }
    write_atomic(places.folder("features") / "features.json", to_json(described))
