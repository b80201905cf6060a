"""What every model can do: learn, predict, and be saved without pickle."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...data.examples import Examples, Schema
from ..splits import Split

Floats: TypeAlias = NDArray[np.float64]


class Model(ABC):
    """A fitted model. Its module is named as its settings are, which :meth:`fit` is given.

    Predictions have one row an example: shape ``(n,)`` holds the probability of class 1 for a
    binary task and the value for a regression, shape ``(n, classes)`` the class probabilities.
    """

    schema: Schema
    learnt: int | None = None  # rows in files that it has learnt from; None: those of the frame

    @classmethod
    @abstractmethod
    def fit(
        cls, examples: Examples, split: Split, config: Any, seed: int, threads: int, device: str
    ) -> Model:
        """Learn from the training rows of ``split``; its validation rows may say when to stop."""

    @abstractmethod
    def predict(self, frame: pd.DataFrame) -> Floats:
        """Predictions for rows that have the schema's feature columns."""

    def save(self, folder: Path) -> None:  # noqa: B027  # not every model has such a file
        """Write what does not fit into JSON below ``folder``, in the library's own format."""

    @abstractmethod
    def saved(self) -> dict[str, Any]:
        """Everything else prediction needs, as plain values for ``model.json``."""

    @classmethod
    @abstractmethod
    def load(cls, folder: Path, schema: Schema, saved: dict[str, Any]) -> Model:
        """The model that :meth:`save` and :meth:`saved` describe."""

    def importance(self) -> dict[str, float]:
        """How much each feature matters to this model, shares that sum to 1; empty if unknown."""
        return {}

    def history(self) -> dict[str, list[float]]:
        """Loss on the training and validation rows after each round; empty where there are none."""
        return {}


class CodedModel(Model):
    """A model with a short cut for very many rows, which are encoded already."""

    @abstractmethod
    def categories(self) -> dict[str, list[str]]:
        """What codes of categorical features stand for in :meth:`predict_codes`, by their order."""

    @abstractmethod
    def predict_codes(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """As :meth:`predict`, with one thread.

        ``matrix`` has shape ``(n, features)``, its columns in the order of the schema's features: a
        category is its place in :meth:`categories`; what is missing or unknown there is NaN.
        """
