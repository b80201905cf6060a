"""Columns as numbers, by rules learnt from the training rows alone and saved with the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .base import Floats

Rows: TypeAlias = NDArray[np.int64] | slice
BATCH = 65_536  # rows that are encoded at a time, where all at once would be a copy of the table


class Columns:
    """The feature columns of a frame as arrays, taken apart once and read many times.

    Numbers are views where the frame holds numbers; categories are codes of ``words``, -1 where
    missing, without a text in between where the column is a pandas Categorical.
    """

    def __init__(self, frame: pd.DataFrame, features: Mapping[str, str]) -> None:
        self.features = features
        self.rows = len(frame)
        self.arrays: dict[str, NDArray[Any]] = {}
        self.words: dict[str, list[str]] = {}
        for name, kind in features.items():
            column = frame[name]
            if kind == "numeric":
                self.arrays[name] = column.to_numpy(dtype=np.float64, na_value=np.nan)
            else:
                if isinstance(column.dtype, pd.CategoricalDtype):
                    codes, values = column.cat.codes.to_numpy(), column.cat.categories
                else:
                    long, values = pd.factorize(column)
                    codes = long.astype(np.int32)
                self.arrays[name], self.words[name] = codes, [str(value) for value in values]

    def count(self, rows: Rows) -> int:
        return len(range(*rows.indices(self.rows)) if isinstance(rows, slice) else rows)

    def batches(self) -> Iterator[slice]:
        """All rows, a few at a time; no rows are one batch."""
        for start in range(0, max(self.rows, 1), BATCH):
            yield slice(start, start + BATCH)


@dataclass(frozen=True)
class Encoder:
    """Categories of each categorical column, in a fixed order; an unknown one is missing (NaN)."""

    features: dict[str, str]  # name -> numeric or categorical
    categories: dict[str, list[str]]

    @classmethod
    def fit(cls, columns: Columns, rows: Rows) -> Encoder:
        categories = {}
        for name, words in columns.words.items():
            # Counted from the missing one, so that no code is negative.
            codes = columns.arrays[name][rows].astype(np.int64) + 1
            seen = np.flatnonzero(np.bincount(codes, minlength=len(words) + 1)[1:])
            categories[name] = sorted({words[code] for code in seen})
        return cls(dict(columns.features), categories)

    def column(self, name: str, columns: Columns, rows: Rows) -> Floats:
        """Shape ``(n,)``: numbers as they are, categories as codes, missing as NaN."""
        values = columns.arrays[name][rows]
        if name not in self.categories:
            return values
        known = {word: code for code, word in enumerate(self.categories[name])}
        words = [known.get(word, np.nan) for word in columns.words[name]]
        return np.array([*words, np.nan], dtype=np.float64)[values]  # -1 is the last one

    def codes(self, columns: Columns, rows: Rows) -> pd.DataFrame:
        """Every column as :meth:`column` gives it.

        Features go by number: XGBoost refuses names with brackets, and columns are the user's.
        """
        found = {f"f{i}": self.column(name, columns, rows) for i, name in enumerate(self.features)}
        return pd.DataFrame(found, copy=False)

    def to_dict(self) -> dict[str, Any]:
        return {"features": self.features, "categories": self.categories}


@dataclass(frozen=True)
class Standardiser:
    """One-hot categories and standardised numbers, with a column for what is missing."""

    encoder: Encoder
    middle: dict[str, float]
    scale: dict[str, float]

    @classmethod
    def fit(cls, columns: Columns, rows: Rows) -> Standardiser:
        encoder = Encoder.fit(columns, rows)
        middle, scale = {}, {}
        for name, kind in columns.features.items():
            if kind == "numeric":
                values = columns.arrays[name][rows]
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

    def number(self, name: str, columns: Columns, rows: Rows) -> tuple[Floats, NDArray[np.bool_]]:
        """A number in standard deviations from its middle, 0 where missing, and where that is."""
        values = self.encoder.column(name, columns, rows)
        missing = ~np.isfinite(values)
        known = np.where(missing, self.middle[name], values)
        return (known - self.middle[name]) / self.scale[name], missing

    def matrix(self, columns: Columns, rows: Rows) -> Floats:
        """Shape ``(n, columns)``, no NaN: a missing number is the middle, plus a flag."""
        matrix = np.empty((columns.count(rows), len(self.columns())), dtype=np.float64)
        start = 0
        for name, kind in self.encoder.features.items():
            if kind == "numeric":
                matrix[:, start], matrix[:, start + 1] = self.number(name, columns, rows)
                start += 2
            else:
                codes = self.encoder.column(name, columns, rows)
                for code in range(len(self.encoder.categories[name])):
                    matrix[:, start] = codes == code
                    start += 1
        return matrix

    def to_dict(self) -> dict[str, Any]:
        return {"encoder": self.encoder.to_dict(), "middle": self.middle, "scale": self.scale}

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Standardiser:
        return cls(Encoder(**saved["encoder"]), saved["middle"], saved["scale"])
