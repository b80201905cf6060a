"""Build the features, and say what they are."""

from __future__ import annotations

from pathlib import Path

from .. import features
from ..config import PROJECT_ROOT, Config, ShopConfig
from ..runs.files import write_atomic
from ..runs.manifest import to_json
from . import places


def run(config: Config) -> None:
    """For the shop, its features by shard; those of a table are columns of its rows."""
    places.take_over("ingest")
    examples = features.build(config)
    made = [_shards(config)] if isinstance(config.data, ShopConfig) else []
    places.leave("features", *made)
    described = {
        "rows": len(examples),
        "schema": examples.schema.to_dict(),
        "meaning": examples.meaning,
        "notes": examples.notes,
    }
    write_atomic(places.folder("features") / "features.json", to_json(described))


def _shards(config: Config) -> Path:
    """Where the features of the shop lie."""
    from ..data.shop import simulate
    from ..features.declared import select
    from ..features.shop import FEATURES, _key

    assert isinstance(config.data, ShopConfig)
    chosen = select([feature.name for feature in FEATURES], config.features)
    used = [feature for feature in FEATURES if feature.name in chosen]
    return PROJECT_ROOT / "data" / "features" / _key(simulate(config.data), used)
