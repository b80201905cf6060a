"""What an engine that computes features itself has to do, and what is the same for all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.parquet as pq

from ...data import shop as simulated
from ...progress import track
from ...runs.files import atomic_path
from .. import shop as declared
from ..declared import Feature
from ..shards import Part, sampled, write_rows


class Backend(ABC):
    """A connection with tables of our own behind it, which are gone when it is closed.

    Expressions are of tables by their names; :meth:`table` and :meth:`store` make these.
    """

    @abstractmethod
    def table(self, name: str, files: list[Path]) -> Any:
        """The rows of Parquet files of one schema as the table ``name`` of the engine."""

    @abstractmethod
    def store(self, name: str, expression: Any) -> Any:
        """Compute ``expression`` once and keep its rows as the table ``name``."""

    @abstractmethod
    def rows(self, expression: Any) -> pa.Table:
        """The rows of ``expression`` in its order; few enough for the memory."""

    def build(
        self,
        shop: simulated.Shop,
        features: list[Feature],
        missing: list[Part],
        scratch: Path,
        share: float = 1.0,
    ) -> None:
        """Compute the features of all users and write the files of the ``missing`` parts."""
        files = shop.users if share >= 1 else _sampled(shop.users, scratch, shop.seed, share)
        users, items = self.table("users", files), self.table("items", [shop.items])
        shown = self.table("impressions", shop.impressions)
        history = self.store("history", declared.item_history(items, shown, shop.start))
        if share < 1:
            shown = shown.semi_join(users, "user")
        table = declared.feature_table(users, items, shown, history, shop.start, features)
        stored = self.store("features", table)
        schema = table.schema().to_pyarrow()
        for part in track(missing, "fetching features"):
            known = pq.read_table(part.users, columns=["user"])["user"]
            of_part = stored.user.between(known[0].as_py(), known[-1].as_py())
            rows = self.rows(stored.filter(of_part).order_by(declared.KEY))
            write_rows(part.out, rows.select(schema.names).cast(schema).to_reader())


def named(name: str, schema: pa.Schema) -> Any:
    """The table ``name`` of whichever engine the expression is compiled for."""
    return ibis.table(ibis.Schema.from_pyarrow(schema), name=name)


def statements(shop: simulated.Shop, features: list[Feature], dialect: str) -> dict[str, str]:
    """The SQL of the item history and of the features, in the words of an engine."""
    files = {"users": shop.users[0], "items": shop.items, "impressions": shop.impressions[0]}
    users, items, shown = (named(name, pq.read_schema(file)) for name, file in files.items())
    history = declared.item_history(items, shown, shop.start)
    known = ibis.table(history.schema(), name="history")
    table = declared.feature_table(users, items, shown, known, shop.start, features)
    return {
        "history": str(ibis.to_sql(history, dialect=dialect)),
        "features": str(ibis.to_sql(table, dialect=dialect)),
    }


def _sampled(users: list[Path], scratch: Path, seed: int, share: float) -> list[Path]:
    files = [scratch / file.name for file in users]
    for file, out in zip(users, files, strict=True):
        with atomic_path(out) as temporary:
            pq.write_table(sampled(file, seed, share), temporary)
    return files
