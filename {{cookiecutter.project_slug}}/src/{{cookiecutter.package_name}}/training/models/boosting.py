"""Gradient boosted trees (XGBoost), saved in its own binary JSON beside our text.

Chen and Guestrin, "XGBoost: A scalable tree boosting system", 2016.
"""

from __future__ import annotations

import warnings
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xgboost as xgb
from numpy.typing import NDArray

from ...config import BoostingConfig
from ...data.examples import Examples, Schema
from ...errors import UserError
from ...runs.files import atomic_path
from .. import rounds
from ..splits import Split
from ..stored import bins, fit_encoder, in_ranks, scratch
from . import encoding
from .base import CodedModel, Floats
from .encoding import Columns, Encoder

_OBJECTIVES = {
    "binary": ("binary:logistic", "logloss"),
    "multiclass": ("multi:softprob", "mlogloss"),
    "regression": ("reg:squarederror", "rmse"),
}


class Boosting(CodedModel):
    """See :class:`~.base.Model`."""

    def __init__(
        self,
        schema: Schema,
        encoder: Encoder,
        booster: Any,
        history: dict[str, list[float]],
        learnt: int | None = None,
    ) -> None:
        self.schema = schema
        self._encoder = encoder
        self._booster = booster
        self._history = history
        self.learnt = learnt

    @classmethod
    def fit(
        cls,
        examples: Examples,
        split: Split,
        config: BoostingConfig,
        seed: int,
        threads: int,
        device: str,
    ) -> Boosting:
        """Fit on the training rows; the validation rows say when to stop.

        The same bytes for any number of ``threads``, and whether rows are in memory or in files.

        Raises:
            UserError: ``device`` is a GPU, and there is none or the library cannot use it.
        """
        schema = examples.schema
        columns = Columns(examples.frame, schema.features)
        target = examples.frame[schema.target].to_numpy()
        objective, metric = _OBJECTIVES[schema.task]
        parameters: dict[str, Any] = {
            "objective": objective,
            "eval_metric": metric,
            "tree_method": "hist",
            "learning_rate": config.learning_rate,
            "max_depth": config.max_depth,
            "min_child_weight": config.min_child_weight,
            "subsample": config.subsample,
            "colsample_bytree": config.colsample,
            "reg_lambda": config.l2,
            "seed": seed,
            "nthread": threads,
            **_on(device),
        }
        if schema.task == "multiclass":
            parameters["num_class"] = len(schema.classes)
        common: dict[str, Any] = {"enable_categorical": True, "nthread": threads}
        stored, before = examples.stored, split.before
        # The bins of files may lie in the folder for as long as trees grow.
        with ExitStack() as stack:
            if stored is None or before is None:
                learnt, encoder = None, Encoder.fit(columns, split.train)
                batches = _Batches(encoder, columns, target, split.train)
                matrix = xgb.QuantileDMatrix(batches, **common)
            else:
                folder = stack.enter_context(scratch(stored))
                rows = stored, schema, before
                encoder, learnt = fit_encoder(*rows)
                if stored.ranks > 1:
                    valid = examples.frame.iloc[split.valid]
                    found = in_ranks(*rows, encoder, valid, folder, parameters, config)
                    return cls(schema, encoder, *found, learnt)
                matrix = bins(*rows, encoder, learnt, folder, **common)
            batches = _Batches(encoder, columns, target, split.valid)
            watched = xgb.QuantileDMatrix(batches, ref=matrix, **common)
            found = grow(parameters, matrix, watched, config.rounds, config.early_stopping)
        return cls(schema, encoder, *found, learnt)

    def predict(self, frame: pd.DataFrame) -> Floats:
        columns = Columns(frame, self.schema.features)
        codes = (self._encoder.codes(columns, rows) for rows in columns.batches())
        parts = [self._booster.inplace_predict(each, validate_features=False) for each in codes]
        found = np.concatenate(parts).astype(np.float64)
        # Single precision inside the library: class probabilities miss 1 by the last digits.
        return found / found.sum(axis=1, keepdims=True) if found.ndim == 2 else found

    def categories(self) -> dict[str, list[str]]:
        return self._encoder.categories

    def predict_codes(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        self._booster.set_param({"nthread": 1})
        return np.asarray(self._booster.inplace_predict(matrix, validate_features=False))

    def save(self, folder: Path) -> None:
        with atomic_path(folder / "booster.ubj") as temporary:
            self._booster.save_model(temporary)

    def saved(self) -> dict[str, Any]:
        return {"encoder": self._encoder.to_dict(), "history": self._history}

    @classmethod
    def load(cls, folder: Path, schema: Schema, saved: dict[str, Any]) -> Boosting:
        booster = xgb.Booster(model_file=folder / "booster.ubj")
        return cls(schema, Encoder(**saved["encoder"]), booster, saved["history"])

    def importance(self) -> dict[str, float]:
        """Share of the total gain of all splits."""
        gain = self._booster.get_score(importance_type="total_gain")
        total = sum(gain.values()) or 1.0
        names = list(self.schema.features)
        return {name: gain.get(f"f{i}", 0.0) / total for i, name in enumerate(names)}

    def history(self) -> dict[str, list[float]]:
        return self._history


def _on(device: str) -> dict[str, str]:
    """The library's setting for ``device``; ``auto`` is the CPU, whose bytes are the same anywhere.

    Raises:
        UserError: it is a GPU, and there is none or the library cannot use it.
    """
    if device != "cuda":
        return {}
    if not xgb.build_info()["USE_CUDA"]:
        raise UserError(
            "training.device=cuda: this is the CPU build of XGBoost. Put xgboost in place of "
            "xgboost-cpu in pyproject.toml, then make setup; or use training.device=cpu."
        )
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        xgb.Booster({"device": "cuda"})
    if said:  # it would go on without one
        raise UserError(f"training.device=cuda: XGBoost {xgb.__version__} sees no GPU here.")
    return {"device": "cuda"}


def grow(
    parameters: dict[str, Any], matrix: Any, watched: Any, most: int, patience: int
) -> tuple[Any, dict[str, list[float]]]:
    """The booster up to its best round by ``watched``, so that what is saved is what predicts, and
    its losses by round: ``most`` rounds, and ``patience`` without a better one."""
    metric = parameters["eval_metric"]
    losses: dict[str, dict[str, list[float]]] = {}
    booster = xgb.train(
        parameters,
        matrix,
        num_boost_round=most,
        evals=[(matrix, "train"), (watched, "valid")],
        early_stopping_rounds=patience,
        evals_result=losses,
        verbose_eval=False,
        callbacks=[_Report(metric)] if rounds.is_heard() else None,
    )
    history = {name: list(map(float, values[metric])) for name, values in losses.items()}
    return booster[: booster.best_iteration + 1], history


class _Batches(xgb.DataIter):
    """Rows as numbers, a few at a time: the library bins them, so that no copy of the table is ever
    whole. The model is the same as from one matrix."""

    def __init__(self, encoder: Encoder, columns: Columns, target: Any, rows: Any) -> None:
        self._encoder, self._columns, self._target, self._rows = encoder, columns, target, rows
        self._next = 0
        super().__init__()

    def next(self, input_data: Any) -> bool:
        """Hand over the next rows, if there are any."""
        rows = self._rows[self._next : self._next + encoding.BATCH]
        self._next += encoding.BATCH
        if len(rows) == 0:
            return False
        kinds = self._columns.features.values()
        input_data(
            data=self._encoder.codes(self._columns, rows),
            label=self._target[rows].astype(np.float32),
            feature_types=["c" if kind == "categorical" else "float" for kind in kinds],
        )
        return True

    def reset(self) -> None:
        """Begin again: the library passes over the rows several times."""
        self._next = 0


class _Report(xgb.callback.TrainingCallback):
    def __init__(self, metric: str) -> None:
        super().__init__()
        self._metric = metric

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        rounds.report(epoch, float(evals_log["valid"][self._metric][-1]))
        return False  # go on
