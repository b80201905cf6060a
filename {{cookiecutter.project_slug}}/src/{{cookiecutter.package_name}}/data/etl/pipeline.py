"""Extract, transform, load: from the parts of a source to a folder of Parquet files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..contracts.sql import quoted
from ..sources import Part, Source, reading
from ..sources.base import code_version, digest
from .connection import connects, copy
from .refresh import refresh
from .step import Step

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class Loaded:
    """What a pipeline has left in its folder, in the order of the source's parts."""

    folder: Path
    files: list[Path]
    rows: int


@dataclass(frozen=True)
class Pipeline:
    """The parts of ``extract``, through ``steps`` in their order, into Parquet files in ``load``.

    Each part is done alone. Run again, it does only parts that are new or corrected, or all of them
    after a step has changed; files of parts that are gone go too. Whatever it was interrupted by,
    the next run ends with the same bytes.
    """

    extract: Source
    steps: Sequence[Step]
    load: Path

    def run(self) -> Loaded:
        """Bring the folder up to date.

        Raises:
            UserError: a part cannot be read, or a step asks for what is not there; names the part.
        """
        import duckdb

        recipe = digest(
            [step.version for step in self.steps],
            duckdb.__version__,
            code_version(Path(__file__).parent),
        )
        parts = self.extract.parts()
        with connects(self.load) as connection:

            def make(part: Part, path: Path) -> dict[str, int]:
                return {"rows": self._make(connection(), part, path)}

            done = refresh(self.load, parts, recipe, make, f"loading {self.extract.label}")
        files = [self.load / done[part.name].file for part in parts]
        return Loaded(self.load, files, sum(done[part.name].facts["rows"] for part in parts))

    def _make(self, con: duckdb.DuckDBPyConnection, part: Part, path: Path) -> int:
        view = f"{part.name}, as it is"
        with reading(self.extract, part):
            self.extract.open(con, part, view)
            rows = con.view(quoted(view))
            for step in self.steps:
                rows = step(rows)
            rows.create_view("rows as they load", replace=True)
            return copy(con, 'SELECT * FROM "rows as they load"', path)
