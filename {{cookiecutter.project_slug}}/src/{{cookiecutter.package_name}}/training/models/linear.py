"""Logistic and ridge regression; what is saved is a list of weights anyone can read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...config import LinearConfig
from ...data.examples import Examples, Schema
from ..splits import Split
from .base import Floats, Model
from .encoding import Columns, Standardiser


class Linear(Model):
    """See :class:`~.base.Model`. ``weights`` has shape ``(outputs, columns)``."""

    def __init__(
        self, schema: Schema, columns: Standardiser, weights: Floats, intercepts: Floats
    ) -> None:
        self.schema = schema
        self._columns = columns
        self._weights = weights
        self._intercepts = intercepts

    @classmethod
    def fit(
        cls,
        examples: Examples,
        split: Split,
        config: LinearConfig,
        seed: int,
        threads: int,
        device: str,
    ) -> Linear:
        """Fit on the training rows alone; the solvers are deterministic."""
        from sklearn.linear_model import LogisticRegression, Ridge

        schema = examples.schema
        columns = Columns(examples.frame, schema.features)
        standardiser = Standardiser.fit(columns, split.train)
        x = standardiser.matrix(columns, split.train)
        y = examples.frame[schema.target].to_numpy()[split.train]
        if schema.task == "regression":
            model = Ridge(alpha=max(config.l2, 1e-9), solver="cholesky").fit(x, y)
        else:
            strength = 1 / max(config.l2, 1e-9)
            model = LogisticRegression(C=strength, max_iter=config.max_iterations).fit(x, y)
        weights, intercepts = np.atleast_2d(model.coef_), np.atleast_1d(model.intercept_)
        if schema.task == "multiclass":
            weights, intercepts = _all_classes(model.classes_, weights, intercepts, schema)
        return cls(schema, standardiser, weights, intercepts)

    def predict(self, frame: pd.DataFrame) -> Floats:
        columns = Columns(frame, self.schema.features)
        parts = [
            self._columns.matrix(columns, rows) @ self._weights.T for rows in columns.batches()
        ]
        scores = np.concatenate(parts) + self._intercepts
        if self.schema.task == "regression":
            return np.asarray(scores[:, 0])
        if self.schema.task == "binary":
            return np.asarray(0.5 * (1 + np.tanh(scores[:, 0] / 2)))
        shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))

    def saved(self) -> dict[str, Any]:
        return {
            "columns": self._columns.to_dict(),
            "weights": self._weights.tolist(),
            "intercepts": self._intercepts.tolist(),
        }

    @classmethod
    def load(cls, folder: Path, schema: Schema, saved: dict[str, Any]) -> Linear:
        columns = Standardiser.from_dict(saved["columns"])
        return cls(schema, columns, np.array(saved["weights"]), np.array(saved["intercepts"]))

    def importance(self) -> dict[str, float]:
        """Share of the sum of absolute weights; numbers are standardised, so they compare."""
        size = dict.fromkeys(self.schema.features, 0.0)
        for name, weight in zip(
            self._columns.columns(), np.abs(self._weights).sum(axis=0), strict=True
        ):
            size[name] += float(weight)
        total = sum(size.values()) or 1.0
        return {name: value / total for name, value in size.items()}


def _all_classes(
    seen: Any, weights: Floats, intercepts: Floats, schema: Schema
) -> tuple[Floats, Floats]:
    """A row for each class of the schema; one without training rows is all but impossible."""
    if len(seen) == 2:  # the library keeps one row for two classes
        weights, intercepts = np.vstack([0 * weights, weights]), np.append(0.0, intercepts)
    every = np.zeros((len(schema.classes), weights.shape[1]))
    start = np.full(len(schema.classes), intercepts.min() - 20.0)
    rows = np.asarray(seen, dtype=np.int64)
    every[rows], start[rows] = weights, intercepts
    return every, start
