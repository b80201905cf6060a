"""Learning from rows in files, a few at a time, when they are more than memory holds."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import xgboost as xgb

from ..data.examples import Schema, Stored, read
from ..errors import UserError
from ..runs.files import WRITING
from .models.encoding import Columns, Encoder

_BATCH = 65_536  # rows that are read at a time, at least
_SHARE = 0.6  # of the memory that bins may take; the rest is for what Python and the sample need


class StoredBatches(xgb.DataIter):
    """The rows of ``files`` that come before a time, as numbers, with their target.

    The library passes over them several times and keeps bins alone, see :func:`bins`.
    """

    def __init__(
        self,
        files: list[Path],
        schema: Schema,
        before: float,
        encoder: Encoder,
        cache: Path | None = None,
        size: int = _BATCH,
    ) -> None:
        """``cache`` is where the library keeps what it makes of the rows, if not in memory."""
        self._files, self._schema, self._before = files, schema, before
        self._encoder, self._size = encoder, size
        self.reset()
        super().__init__(cache_prefix=cache and str(cache))

    def next(self, input_data: Any) -> bool:
        """Hand over the next rows, if there are any."""
        for rows in self._rows:
            frame = rows.to_pandas()
            kinds = self._schema.features.values()
            input_data(
                data=self._encoder.codes(Columns(frame, self._schema.features), slice(None)),
                label=frame[self._schema.target].to_numpy(dtype=np.float32),
                feature_types=["c" if kind == "categorical" else "float" for kind in kinds],
            )
            return True
        return False

    def reset(self) -> None:
        """Begin again."""
        features = list(self._schema.features)
        self._rows = _early(self._files, self._schema, self._before, features, self._size)


def fit_encoder(stored: Stored, schema: Schema, before: float) -> tuple[Encoder, int]:
    """The encoder fitted on the rows that come before a time, and how many there are."""
    words = [name for name, kind in schema.features.items() if kind == "categorical"]
    found: dict[str, set[str]] = {name: set() for name in words}
    count = 0
    for rows in _early(stored.files, schema, before, words, 16 * _BATCH):
        count += len(rows)
        for name in words:
            found[name].update(rows[name].unique().drop_null().to_pylist())
    return Encoder(
        dict(schema.features), {name: sorted(each) for name, each in found.items()}
    ), count


def bins(
    stored: Stored,
    schema: Schema,
    before: float,
    encoder: Encoder,
    count: int,
    folder: Path,
    **common: Any,
) -> Any:
    """The bins of the ``count`` rows that come before a time: in memory where they fit into their
    share of ``engine.memory``, else in ``folder``, which has to be there as long as they are. From
    there learning is slower, and may grow other trees: it adds up page by page."""
    if count * _bytes_a_row(schema) <= _SHARE * stored.engine.memory * 2**20:
        return xgb.QuantileDMatrix(StoredBatches(stored.files, schema, before, encoder), **common)
    # A page is rows, frame and numbers while it is made: together some tenth of the memory.
    page = max(_BATCH, stored.engine.memory * 2**20 // (250 * len(schema.features)))
    rows = StoredBatches(stored.files, schema, before, encoder, folder / "bins", page)
    return xgb.ExtMemQuantileDMatrix(rows, **common)


@contextmanager
def scratch(stored: Stored) -> Iterator[Path]:
    """A folder for the length of the block, beside the rows: where temporary files go may be
    memory."""
    with tempfile.TemporaryDirectory(prefix=WRITING, dir=stored.files[0].parent) as folder:
        yield Path(folder)


def in_ranks(stored: Stored, *job: Any) -> tuple[Any, dict[str, list[float]]]:
    """The booster and its losses by round, learnt by several processes together.

    Raises:
        UserError: the project has no module for it.
    """
    try:
        ranks = import_module(".ranks", __package__)
    except ModuleNotFoundError as error:
        raise UserError(
            f"training.ranks={stored.ranks}: this project learns in one process. "
            "To have more: make grow STAGE=pipeline"
        ) from error
    booster, history = ranks.fit(stored, *job)
    return booster, history


def _bytes_a_row(schema: Schema) -> int:
    """What the library holds of a row: the number of each bin, twice (by row and by column), where
    the row starts, and gradients, predictions and target."""
    return 6 * len(schema.features) + 40


def _early(
    files: list[Path], schema: Schema, before: float, columns: list[str], size: int
) -> Iterator[Any]:
    """The rows that come before a time, with ``columns``, the target and the time."""
    import pyarrow.compute as pc

    assert schema.time is not None
    words = [name for name in columns if schema.features[name] == "categorical"]
    wanted = list(dict.fromkeys([*columns, schema.target, schema.time]))
    for rows in read(files, "reading rows to learn from", wanted, words, size):
        if len(early := rows.filter(pc.less(rows[schema.time], before))):
            yield early
