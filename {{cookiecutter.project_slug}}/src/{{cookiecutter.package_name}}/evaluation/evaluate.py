"""Judge a model on held-back rows, beside the baseline fitted on the same training rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..config import Config, PopularityConfig
from ..data.examples import Examples
from ..runs.files import atomic_path
from ..training import seeds
from ..training.models import Model, fit_model
from ..training.splits import Split
from . import plots, product, thresholds
from .comparison import Difference, difference, differences
from .intervals import clusters, resample, resampled
from .metrics import Interval, score
from .slices import find_slices
from .thresholds import Decision

BASELINE = "popularity"
LOGGED = "the order as it was shown"
_LOGGED = 1_000_000  # training rows that tell how much each place is looked at: enough
Part = Literal["valid", "test"]


@dataclass(frozen=True)
class Evaluation:
    """Scores by part of the split and model, and the predictions they come from.

    There is one part: validation rows when a model is trained, test rows when it is evaluated.
    ``differences`` are of the model judged minus another, such as the baseline; what is better is
    for them to say, see :class:`~.comparison.Difference`.
    """

    scores: dict[str, dict[str, dict[str, float]]]  # part -> model -> metric
    predictions: dict[str, dict[str, NDArray[np.float64]]]  # part -> model -> prediction
    intervals: dict[str, dict[str, dict[str, Interval]]] = field(default_factory=dict)
    differences: dict[str, dict[str, dict[str, Difference]]] = field(default_factory=dict)

    def flat(self) -> dict[str, float]:
        """``{"valid.boosting.roc_auc": …}``, for a manifest."""
        return _flat(self.scores)

    def flat_intervals(self) -> dict[str, Interval]:
        """The 95 % intervals, by the names of :meth:`flat`."""
        return _flat(self.intervals)

    def to_dict(self) -> dict[str, Any]:
        """The differences as plain values: part -> other model -> metric."""
        return {
            part: {
                other: {metric: each.to_dict() for metric, each in found.items()}
                for other, found in others.items()
            }
            for part, others in self.differences.items()
        }


def evaluate(
    model: Model,
    name: str,
    examples: Examples,
    split: Split,
    config: Config,
    part: Part = "valid",
    against: Mapping[str, Model] | None = None,
) -> Evaluation:
    """Scores of ``model``, of the baseline and of the models it is judged ``against`` on one part
    of the split, with 95 % intervals, and what the model has over the others, in pairs."""
    models = {name: model}
    if name != BASELINE:
        models[BASELINE] = fit_model(PopularityConfig(), examples, split, 0, 1)
    models |= against or {}
    schema, settings = examples.schema, config.evaluation
    frame = examples.frame.iloc[split.parts()[part]]
    predictions = {label: each.predict(frame) for label, each in models.items()}
    random = seeds.stream(config.seed, f"intervals {part}")
    drawn = resample(frame, schema, random, settings.resamples)
    scores: dict[str, dict[str, float]] = {}
    values: dict[str, dict[str, NDArray[np.float64]]] = {}
    for label, predicted in predictions.items():
        scores[label] = score(frame, predicted, schema, settings.top_k, settings.bins)
        values[label] = {}
        if drawn is not None:
            values[label] = resampled(
                frame, predicted, schema, drawn, scores[label], settings.top_k, settings.bins
            )
    shown = None
    if product.measurable(schema):
        random = seeds.stream(config.seed, f"attention {part}")
        train = examples.frame.iloc[split.train[:: 1 + len(split.train) // _LOGGED]]
        relevance = [model.predict(product.unplaced(each, schema)) for each in (train, frame)]
        items = (models[BASELINE]).predict(train)
        seen = product.attention(train, relevance[0], items, schema, random, settings.resamples)
        lists = product.Product(frame, relevance[1], schema, seen, drawn, settings.top_k)
        for label, each in models.items():
            orders = (
                relevance[1] if each is model else each.predict(product.unplaced(frame, schema))
            )
            scores[label][product.METRIC], found = lists.judge(orders)
            if found is not None:
                values[label][product.METRIC] = found
        shown = lists.judge(lists.logged)
    own = scores[name], values[name]
    compared = {
        label: differences((own[0], scores[label]), (own[1], values[label]), drawn)
        for label in models
        if label != name
    }
    if shown is not None:
        metric = product.METRIC
        pair = None if shown[1] is None else (own[1][metric], shown[1])
        compared[LOGGED] = {metric: difference(metric, (own[0][metric], shown[0]), pair, drawn)}
    intervals = {
        label: {
            metric: bounds
            for metric, each in values[label].items()
            if drawn is not None
            and (bounds := drawn.bounds(metric, each, scores[label][metric])) is not None
        }
        for label in models
    }
    return Evaluation({part: scores}, {part: predictions}, {part: intervals}, {part: compared})


def write_predictions(
    path: Path, name: str, examples: Examples, split: Split, found: Evaluation
) -> None:
    """One row an example of the part that was judged: key, part, target, prediction(s)."""
    schema = examples.schema
    tables = []
    for part, predictions in found.predictions.items():
        table = examples.frame.iloc[split.parts()[part]][[*schema.key, schema.target]].copy()
        table.insert(len(schema.key), "part", part)
        predicted = predictions[name]
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
    """The standard figures on the rows that were judged."""
    ((part, predictions),) = found.predictions.items()
    frame, schema = examples.frame.iloc[split.parts()[part]], examples.schema
    target = frame[schema.target].to_numpy(dtype=np.float64)
    groups = clusters(frame, schema) if schema.group or schema.ranking else None
    bins = config.evaluation.bins
    return plots.standard(target, predictions, schema, model.importance(), bins, groups)


def decide(
    model: Model, name: str, examples: Examples, split: Split, found: Evaluation, config: Config
) -> Decision | None:
    """What it costs on the rows that were judged to act from the threshold on that costs least on
    the validation rows; None where there are no two classes."""
    ((part, predictions),) = found.predictions.items()
    schema, costs = examples.schema, config.evaluation.costs
    if schema.task != "binary":
        return None
    valid = examples.frame.iloc[split.valid]
    predicted = predictions[name] if part == "valid" else model.predict(valid)
    threshold = thresholds.choose(valid[schema.target].to_numpy(), predicted, costs)
    frame = examples.frame.iloc[split.parts()[part]]
    random = seeds.stream(config.seed, f"intervals {part}")
    drawn = resample(frame, schema, random, config.evaluation.resamples)
    target = frame[schema.target].to_numpy()
    return thresholds.decide(threshold, target, predictions[name], costs, drawn)


def slices(
    name: str, examples: Examples, split: Split, found: Evaluation, config: Config
) -> pd.DataFrame:
    """The slices of the rows that were judged, the worst first: see :func:`.slices.find_slices`."""
    ((part, predictions),) = found.predictions.items()
    rows = split.parts()[part]
    return find_slices(examples, rows, predictions[name], config.evaluation.slices)


def _flat(values: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, Any]:
    return {
        f"{part}.{model}.{metric}": value
        for part, models in values.items()
        for model, found in models.items()
        for metric, value in found.items()
    }
