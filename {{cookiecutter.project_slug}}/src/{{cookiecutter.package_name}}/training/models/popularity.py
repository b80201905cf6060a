"""The baseline: what is clicked most is clicked most. Without items, the average of the target."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...config import PopularityConfig
from ...data.examples import Examples, Schema
from ..splits import Split
from .base import Floats, Model


class Popularity(Model):
    """See :class:`~.base.Model`. ``average`` has one number, or one for each class."""

    def __init__(
        self, schema: Schema, by: str | None, average: list[float], rates: dict[str, float]
    ) -> None:
        self.schema = schema
        self._by = by
        self._average = average
        self._rates = rates

    @classmethod
    def fit(
        cls,
        examples: Examples,
        split: Split,
        config: PopularityConfig,
        seed: int,
        threads: int,
        device: str,
    ) -> Popularity:
        """Averages of the training rows, by item shrunk towards the overall one."""
        schema = examples.schema
        train = examples.frame.iloc[split.train]
        target = train[schema.target].to_numpy()
        if schema.task == "multiclass":
            counts = np.bincount(target.astype(np.int64), minlength=len(schema.classes))
            return cls(schema, None, (counts / counts.sum()).tolist(), {})
        average = float(np.mean(target))
        if config.by not in train.columns:
            return cls(schema, None, [average], {})
        grouped = train.groupby(config.by, sort=True)[schema.target].agg(["sum", "count"])
        weight = config.prior_weight
        rates = (grouped["sum"] + weight * average) / (grouped["count"] + weight)
        by_item = {str(item): float(rate) for item, rate in rates.items()}
        return cls(schema, config.by, [average], by_item)

    def predict(self, frame: pd.DataFrame) -> Floats:
        if self.schema.task == "multiclass":
            return np.tile(np.array(self._average), (len(frame), 1))
        if self._by is None:
            return np.full(len(frame), self._average[0], dtype=np.float64)
        rates = frame[self._by].astype(str).map(self._rates)
        return np.asarray(rates.fillna(self._average[0]), dtype=np.float64)

    def saved(self) -> dict[str, Any]:
        return {"by": self._by, "average": self._average, "rates": self._rates}

    @classmethod
    def load(cls, folder: Path, schema: Schema, saved: dict[str, Any]) -> Popularity:
        return cls(schema, **saved)
