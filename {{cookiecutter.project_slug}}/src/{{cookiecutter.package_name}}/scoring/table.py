"""A prediction for each row of a table, streamed: a part at a time, and of it a group of rows.

Rows go the way they went before training: read from their source, through the contract of the
table that the model has learnt from, to Parquet files of typed columns, with those that break it
set aside. From there each row is a few numbers by rules that know nothing of other rows, or were
learnt from the training rows and saved with the model.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..config import TableConfig
from ..config.scoring import ScoringConfig
from ..data.contracts import Contract
from ..data.ingest import Ingested, ingest
from ..data.profile import LARGEST
from ..data.roles import Column, Role
from ..errors import UserError
from ..features.table import features_of
from ..progress import track
from ..training.models import Model, load_model
from .store import Filled, Store, writing

_ROLES: dict[str, Role] = {
    "integer": "numeric",
    "number": "numeric",
    "boolean": "boolean",
    "text": "category",
    "date": "date",
    "datetime": "date",
}
_PARTS = ("_day", "_weekday", "_hour")  # of a date


def score_table(config: TableConfig, settings: ScoringConfig, folder: Path, store: Store) -> Filled:
    """Score the rows of ``settings.input``, or of the table itself, with the model in ``folder``.

    Raises:
        UserError: the rows cannot be read or break the contract, or lack what the model needs.
    """
    model = load_model(folder)
    taken = _ingest(config, settings)
    columns = columns_of(model, taken.contract)
    lost = [name for name in config.id if name not in taken.contract.columns]
    if lost:
        raise UserError(f"data.id: no such column: {', '.join(lost)}.")
    # The name of a typed file says what it was made of: the part and its version.
    files = {path.stem.rpartition("-")[0].removesuffix(".parquet"): path for path in taken.files}
    versions = {name: path.stem for name, path in files.items()}
    predicted = 0
    with store.opened(versions) as missing:
        for name in track(missing, "scoring"):
            path = store.path(name)
            predicted += _score(
                model, columns, config.id, files[name], path, store.made_of(name, versions[name]),
                settings.batch,
            )  # fmt: skip
        facts = {"target": model.schema.target, "task": model.schema.task}
        summary = store.finish(versions, {**facts, "set_aside": taken.set_aside})
    return Filled(taken.inputs, summary, predicted, taken.notes)


def _ingest(config: TableConfig, settings: ScoringConfig) -> Ingested:
    if settings.input is None:
        return ingest(config)
    if config.contract is None:
        raise UserError(
            f"scoring.input={settings.input}: the table the model has learnt from has no contract "
            "that other rows could keep. Adopt it (make adopt), and train with that."
        )
    return ingest(replace(config, path=settings.input), without_target=True)


def columns_of(model: Model, contract: Contract) -> list[Column]:
    """The columns that the model's features are made of, by the types of the contract.

    Raises:
        UserError: there is none for a feature, or it is of another kind.
    """
    wanted = model.schema.features
    columns = [Column(name, _ROLES[rule.type], "") for name, rule in contract.columns.items()]
    found: dict[str, Column] = {}
    for column in columns:
        names = [f"{column.name}{part}" for part in _PARTS]
        for name in names if column.role == "date" else [column.name]:
            kind = "categorical" if column.role == "category" else "numeric"
            if wanted.get(name) == kind:
                found[name] = column
    if lost := [name for name in wanted if name not in found]:
        raise UserError(
            f"the model needs features that {contract.table} lacks: {', '.join(lost)}. "
            "Score rows like those it was trained on, or train it again."
        )
    return [column for column in columns if column in found.values()]


def _score(
    model: Model,
    columns: list[Column],
    keys: list[str],
    file: Path,
    path: Path,
    made_of: str,
    batch: int,
) -> int:
    """Score a typed file, a group of its rows at a time; how many rows there are."""
    rows = pq.ParquetFile(file)
    kept = [rows.schema_arrow.field(name) for name in keys]
    number = _free("row", keys)
    names = _predictions(model, [*keys, number])
    schema = pa.schema([*kept, (number, pa.int64()), *((name, pa.float64()) for name in names)])
    done = 0
    with writing(path, made_of, schema) as writer:
        for group in range(rows.num_row_groups):
            table = rows.read_row_group(group, [*keys, *(column.name for column in columns)])
            found = np.concatenate(list(_predict(model, columns, table, batch)))
            each = found[:, None] if found.ndim == 1 else found
            numbers = pa.array(np.arange(done, done + len(found)))
            arrays = [*(table[name] for name in keys), numbers, *(pa.array(p) for p in each.T)]
            writer.write_table(pa.table(arrays, schema=schema))
            done += len(found)
    return done


def _predict(
    model: Model, columns: list[Column], table: pa.Table, batch: int
) -> Iterator[np.ndarray]:
    for start in range(0, max(len(table), 1), batch):
        part = table.slice(start, batch)
        made: dict[str, tuple[str, pd.Series, str]] = {}
        for column in columns:
            made |= features_of(column, _typed(part[column.name], column.role))
        frame = {name: made[name][1] for name in model.schema.features}
        yield model.predict(pd.DataFrame(frame, copy=False))


def _typed(values: pa.ChunkedArray, role: Role) -> pd.Series:
    """A column as :mod:`..data.table` gives it: what is no finite number or date is missing."""
    if role == "numeric":
        numbers = values.cast(pa.float64(), safe=False).to_numpy()
        return pd.Series(np.where(np.abs(numbers) <= LARGEST, numbers, np.nan))
    if role == "boolean":
        codes = pc.fill_null(values.cast(pa.int8()), -1).to_numpy()
        return pd.Series(pd.Categorical.from_codes(codes, categories=pd.Index(["no", "yes"])))
    if role == "category":
        coded = values.combine_chunks().dictionary_encode()
        codes = pc.fill_null(coded.indices, -1).to_numpy()
        words = pd.Index(coded.dictionary.to_pylist(), dtype=str)
        return pd.Series(pd.Categorical.from_codes(codes, categories=words))
    moments = values.cast(pa.timestamp("us"))
    return pd.Series(moments.to_numpy())


def _predictions(model: Model, taken: list[str]) -> list[str]:
    """Names as in ``predictions.parquet`` of a run."""
    if model.schema.task != "multiclass":
        return [_free("prediction", taken)]
    return [_free(f"prediction {label}", taken) for label in model.schema.classes]


def _free(name: str, taken: list[str]) -> str:
    while name in taken:
        name = f"#{name}"
    return name
