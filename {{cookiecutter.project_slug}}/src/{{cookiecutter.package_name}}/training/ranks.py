"""Boosting in several processes, from the files of :class:`~..data.examples.Stored`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xgboost as xgb

from ..config import BoostingConfig
from ..data.examples import Schema, Stored
from .gang import Job, fit_gang
from .models.encoding import Encoder
from .stored import StoredBatches


def fit(
    stored: Stored,
    schema: Schema,
    before: float,
    encoder: Encoder,
    valid: pd.DataFrame,
    folder: Path,
    parameters: dict[str, Any],
    config: BoostingConfig,
) -> tuple[Any, dict[str, list[float]]]:
    """The booster up to its best round on the rows ``valid``, and its losses by round.

    Every rank gets its files, and its part of ``valid`` by way of ``folder``, which all can read.
    """
    watched = []
    for number, rows in enumerate(np.array_split(np.arange(len(valid)), stored.ranks)):
        watched.append(folder / f"valid-{number:05d}.parquet")
        valid.iloc[rows].to_parquet(watched[-1])
    batches = partial(StoredBatches, schema=schema, before=before, encoder=encoder)
    job = Job(
        files=stored.files,
        watched=watched,
        batches=batches,
        watched_batches=partial(batches, before=np.inf),
        parameters=parameters,
        rounds=config.rounds,
        early_stopping=config.early_stopping,
    )
    fitted = fit_gang(stored.engine, job, stored.ranks)
    return xgb.Booster(model_file=bytearray(fitted.booster)), fitted.history
