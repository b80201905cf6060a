"""Judge a model on held-back rows, beside the baseline fitted on the same training rows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..config import Config, PopularityConfig
from ..data.examples import Examples
from ..runs.files import atomic_path
from ..training import seeds
from ..training.models import Model, fit_model
from ..training.splits import Split
from . import intervals as bootstrap
from . import plots
from .metrics import score

BASELINE = "popularity"


@dataclass(frozen=True)
class Evaluation:
    """Scores by part of the split and model, and the predictions they come from."""

    scores: dict[str, dict[str, dict[str, float]]]  # part -> model -> metric
    predictions: dict[str, dict[str, NDArray[np.float64]]]  # part -> model -> prediction

    def flat(self) -> dict[str, float]:
        """``{"test.boosting.roc_auc": …}``, for a manifest."""
        return {
            f"{part}.{model}.{metric}": value
            for part, models in self.scores.items()
            for model, found in models.items()
            for metric, value in found.items()
        }


def evaluate(
    model: Model, name: str, examples: Examples, split: Split, config: Config
) -> Evaluation:
    """Scores of ``model`` and of the baseline on the validation and the test rows."""
    models = {name: model}
    if name != BASELINE:
        models[BASELINE] = fit_model(PopularityConfig(), examples, split, 0, 1)
    scores: dict[str, dict[str, dict[str, float]]] = {}
    predictions: dict[str, dict[str, NDArray[np.float64]]] = {}
    for part, rows in (("valid", split.valid), ("test", split.test)):
        frame = examples.frame.iloc[rows]
        predictions[part] = {label: each.predict(frame) for label, each in models.items()}
        scores[part] = {
            label: score(
                frame, predicted, examples.schema, config.evaluation.top_k, config.evaluation.bins
            )
            for label, predicted in predictions[part].items()
        }
    return Evaluation(scores, predictions)


def intervals(
    name: str, examples: Examples, split: Split, found: Evaluation, config: Config
) -> dict[str, tuple[float, float]]:
    """95 % intervals of the metrics of the model ``name``, named as by :meth:`Evaluation.flat`."""
    bounds: dict[str, tuple[float, float]] = {}
    for part, rows in (("valid", split.valid), ("test", split.test)):
        of_part = bootstrap.intervals(
            examples.frame.iloc[rows],
            found.predictions[part][name],
            examples.schema,
            seeds.stream(config.seed, f"intervals {part}"),
            config.evaluation.top_k,
            config.evaluation.bins,
        )
        bounds |= {f"{part}.{name}.{metric}": each for metric, each in of_part.items()}
    return bounds


def write_predictions(
    path: Path, name: str, examples: Examples, split: Split, found: Evaluation
) -> None:
    """One row an example of the validation and test parts: key, part, target, prediction(s)."""
    schema = examples.schema
    tables = []
    for part, rows in (("valid", split.valid), ("test", split.test)):
        table = examples.frame.iloc[rows][[*schema.key, schema.target]].copy()
        table.insert(len(schema.key), "part", part)
        predicted = found.predictions[part][name]
        if predicted.ndim == 1:
            table["prediction"] = predicted
        else:
            for number, label in enumerate(schema.classes):
                table[f"prediction {label}"] = predicted[:, number]
        tables.append(table)
    with atomic_path(path) as temporary:
        pd.concat(tables).to_parquet(temporary, index=False)


def figures(
    model: Model, examples: Examples, split: Split, found: Evaluation, config: Config
) -> dict[str, Any]:
    """The standard figures on the test rows."""
    target = examples.frame.iloc[split.test][examples.schema.target].to_numpy(dtype=np.float64)
    return plots.standard(
        target,
        found.predictions["test"],
        examples.schema,
        model.importance(),
        config.evaluation.bins,
    )


def slices(examples: Examples, split: Split, predicted: NDArray[np.float64]) -> pd.DataFrame:
    """Rows, true and predicted average of the test rows by value of each categorical feature.

    The widest gaps first, for its number of rows: ordered by gap times the square root of rows.
    For many classes, the average is the share of the first class.
    """
    schema = examples.schema
    frame = examples.frame.iloc[split.test]
    true = frame[schema.target].to_numpy(dtype=np.float64)
    if schema.task == "multiclass":
        true, predicted = (true == 0).astype(np.float64), predicted[:, 0]
    tables = []
    for name, kind in schema.features.items():
        if kind == "categorical":
            pairs = pd.DataFrame(
                {
                    "slice": f"{name} = " + frame[name].astype("str"),
                    "true": true,
                    "predicted": predicted,
                }
            )
            found = pairs.groupby("slice").agg(
                rows=("true", "size"), true=("true", "mean"), predicted=("predicted", "mean")
            )
            tables.append(found[found.rows >= 20])
    if not tables:
        return pd.DataFrame(columns=["rows", "true", "predicted"])
    table = pd.concat(tables).rename_axis(index=None)
    gap = (table.true - table.predicted).abs() * np.sqrt(table.rows)
    return table.loc[gap.sort_values(ascending=False, kind="stable").index].head(12).round(4)
