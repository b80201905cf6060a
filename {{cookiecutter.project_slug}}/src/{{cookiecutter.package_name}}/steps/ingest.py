"""Simulate the shop, or take a table in."""

from __future__ import annotations

from ..config import Config, ShopConfig
from . import places


def run(config: Config) -> None:
    if isinstance(config.data, ShopConfig):
        from ..data.shop import simulate

        places.leave("ingest", simulate(config.data, engine=config.engine).root)
    else:
        from ..data.folders import quarantine_folder
        from ..data.ingest import ingest

        made = ingest(config.data).folder
        places.leave("ingest", made, quarantine_folder() / made.name)
