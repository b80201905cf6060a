"""Columns as numbers, by rules learnt from the training rows alone and saved with the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ...data.examples import Schema
from .base import Floats


@dataclass(frozen=True)
class Encoder:
    """Categories of each categorical column, in a fixed order; an unknown one is missing (NaN)."""

    features: dict[str, str]  # name -> numeric or categorical
    categories: dict[str, list[str]]

    @classmethod
    def fit(cls, frame: pd.DataFrame, schema: Schema) -> Encoder:
        categories = {
            name: sorted(frame[name].dropna().astype(str).unique())
            for name, kind in schema.features.items()
            if kind == "categorical"
        }
        return cls(dict(schema.features), categories)

    def codes(self, frame: pd.DataFrame) -> Floats:
        """Shape ``(n, features)``: numbers as they are, categories as codes, missing as NaN."""
        matrix = np.empty((len(frame), len(self.features)), dtype=np.float64)
        for number, (name, kind) in enumerate(self.features.items()):
            if kind == "numeric":
                matrix[:, number] = frame[name].to_numpy(dtype=np.float64, na_value=np.nan)
            else:
                index = pd.Index(self.categories[name])
                codes = index.get_indexer(pd.Index(frame[name].astype("str"))).astype(np.float64)
                matrix[:, number] = np.where(codes < 0, np.nan, codes)
        return matrix

    def to_dict(self) -> dict[str, Any]:
        return {"features": self.features, "categories": self.categories}


@dataclass(frozen=True)
class Standardiser:
    """One-hot categories and standardised numbers, with a column for what is missing."""

    encoder: Encoder
    middle: dict[str, float]
    scale: dict[str, float]

    @classmethod
    def fit(cls, frame: pd.DataFrame, schema: Schema) -> Standardiser:
        encoder = Encoder.fit(frame, schema)
        middle, scale = {}, {}
        for name, kind in schema.features.items():
            if kind == "numeric":
                values = frame[name].to_numpy(dtype=np.float64, na_value=np.nan)
                known = values[np.isfinite(values)]
                middle[name] = float(np.mean(known)) if len(known) else 0.0
                scale[name] = float(np.std(known)) or 1.0 if len(known) else 1.0
        return cls(encoder, middle, scale)

    def columns(self) -> list[str]:
        """The feature each column of :meth:`matrix` belongs to."""
        names: list[str] = []
        for name, kind in self.encoder.features.items():
            width = 2 if kind == "numeric" else len(self.encoder.categories[name])
            names += [name] * width
        return names

    def matrix(self, frame: pd.DataFrame) -> Floats:
        """Shape ``(n, columns)``, no NaN: a missing number is the middle, plus a flag."""
        codes = self.encoder.codes(frame)
        blocks = []
        for number, (name, kind) in enumerate(self.encoder.features.items()):
            column = codes[:, number]
            if kind == "numeric":
                missing = ~np.isfinite(column)
                known = np.where(missing, self.middle[name], column)
                scaled = (known - self.middle[name]) / self.scale[name]
                blocks += [scaled[:, None], missing[:, None].astype(np.float64)]
            else:
                levels = np.arange(len(self.encoder.categories[name]))
                blocks.append((column[:, None] == levels).astype(np.float64))
        return np.hstack(blocks)

    def to_dict(self) -> dict[str, Any]:
        return {"encoder": self.encoder.to_dict(), "middle": self.middle, "scale": self.scale}

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Standardiser:
        return cls(Encoder(**saved["encoder"]), saved["middle"], saved["scale"])
