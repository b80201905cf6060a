"""How ``mlflow.pyfunc.load_model`` loads a model of this package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from ..training.models import Model, load_model
from ..training.models.base import Floats


class Predictor:
    """What MLflow calls a Python model."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def predict(self, frame: pd.DataFrame, params: dict[str, Any] | None = None) -> Floats:
        """One row an example: see :class:`~..training.models.base.Model`."""
        return self._model.predict(frame)


def _load_pyfunc(path: str) -> Predictor:
    return Predictor(load_model(Path(path)))
