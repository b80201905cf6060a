"""The metrics of each task. All take rows in any order and give the same number."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..data.examples import Schema

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Interval = tuple[float, float]
# Which way is better, and what each metric is called for a person.
LOWER_IS_BETTER = {"log_loss", "calibration_error", "rmse", "mae", "cost"}
TITLES = {
    "roc_auc": "ROC AUC",
    "average_precision": "Average precision",
    "log_loss": "Log loss",
    "calibration_error": "Calibration error",
    "accuracy": "Accuracy",
    "macro_f1": "Macro F1",
    "r2": "R²",
    "rmse": "RMSE",
    "mae": "MAE",
    "clicks_per_mille": "Clicks per mille",
}
MAIN_METRIC = {"binary": "roc_auc", "multiclass": "log_loss", "regression": "rmse"}


def title(metric: str) -> str:
    """``ndcg_at_10`` -> ``NDCG@10``."""
    if "_at_" in metric:
        name, _, k = metric.partition("_at_")
        return f"{name.upper() if name == 'ndcg' else name.capitalize()}@{k}"
    return TITLES.get(metric, metric)


def table(
    scores: Mapping[str, Mapping[str, float]],
    intervals: Mapping[str, Mapping[str, Interval]] | None = None,
    verdicts: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Scores by model as a table to show: a row a metric, a column a model.

    ``intervals`` by model and metric stand beside the scores, ``verdicts`` by metric at the end.
    """
    found: dict[str, dict[str, str]] = {}
    for model, values in scores.items():
        found[model] = {metric: number(value) for metric, value in values.items()}
        if bounds := (intervals or {}).get(model):
            column = f"{model}, 95 %"
            found[column] = {metric: span(bounds.get(metric)) for metric in values}
    if verdicts:
        found["verdict"] = dict(verdicts)
    return pd.DataFrame(found).rename(index=title).fillna("")


def number(value: float, signed: bool = False) -> str:
    """Four digits after the point, or as many significant ones where that says more."""
    size = abs(value)
    digits = max(0, 4 - math.floor(math.log10(size))) if 1 <= size < math.inf else 4
    return f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"


def span(bounds: Interval | None, signed: bool = False) -> str:
    """An interval for a person."""
    return f"{number(bounds[0], signed)} to {number(bounds[1], signed)}" if bounds else ""


def bounded(chance: Floats) -> Floats:
    """Probabilities that have a finite logarithm."""
    edge = np.finfo(np.float64).eps
    return np.asarray(np.clip(chance, edge, 1 - edge))


def score(
    frame: pd.DataFrame, predicted: Floats, schema: Schema, top_k: int = 10, bins: int = 10
) -> dict[str, float]:
    """Every metric of the task for these rows; ranking metrics where rows belong to lists.

    ``predicted`` has the shape that :class:`~..training.models.base.Model` states.
    """
    from sklearn import metrics as sk

    target = frame[schema.target].to_numpy()
    if schema.task == "regression":
        return {
            "rmse": float(sk.root_mean_squared_error(target, predicted)),
            "mae": float(sk.mean_absolute_error(target, predicted)),
            "r2": float(sk.r2_score(target, predicted)),
        }
    labels = list(range(len(schema.classes)))
    if schema.task == "multiclass":
        chosen = predicted.argmax(axis=1)
        return {
            "log_loss": float(sk.log_loss(target, predicted, labels=labels)),
            "accuracy": float(sk.accuracy_score(target, chosen)),
            "macro_f1": float(
                sk.f1_score(target, chosen, average="macro", labels=labels, zero_division=0)
            ),
        }
    found = {
        "roc_auc": float(sk.roc_auc_score(target, predicted)),
        "average_precision": float(sk.average_precision_score(target, predicted)),
        "log_loss": float(sk.log_loss(target, predicted, labels=labels)),
        "calibration_error": calibration_error(target, predicted, bins),
    }
    if schema.ranking is not None:
        lists = frame[schema.ranking].to_numpy()
        found[f"ndcg_at_{top_k}"] = ndcg(lists, target, predicted, top_k)
        found[f"recall_at_{top_k}"] = recall(lists, target, predicted, top_k)
    return found


def calibration_table(
    target: Integers, predicted: Floats, bins: int, groups: Integers | None = None
) -> pd.DataFrame:
    """Mean prediction, observed share, rows, and the standard error of the share in bins of about
    equal size, from low to high. Rows of one of ``groups`` are alike, which counts for the error.
    """
    edges = np.unique(np.quantile(predicted, np.linspace(0, 1, bins + 1)[1:-1]))
    # Equal predictions share a bin, whatever the order of the rows.
    number = np.searchsorted(edges, predicted, side="left")
    table = pd.DataFrame({"predicted": predicted, "observed": target, "number": number})
    found = table.groupby("number").agg(
        predicted=("predicted", "mean"), observed=("observed", "mean"), rows=("number", "size")
    )
    if groups is None:
        found["error"] = np.sqrt(found.observed * (1 - found.observed) / found.rows)
    else:
        off = table.observed - found.observed.reindex(number).to_numpy()
        sums = off.groupby([table.number, groups]).sum()
        found["error"] = np.sqrt((sums**2).groupby(level=0).sum()) / found.rows
    return found.reset_index(drop=True)


def calibration_error(target: Integers, predicted: Floats, bins: int) -> float:
    """Mean distance of predicted from observed share over bins of equal size, 0 to 1 (ECE).

    Naeini, Cooper and Hauskrecht, "Obtaining well calibrated probabilities using Bayesian
    binning", 2015.
    """
    table = calibration_table(target, predicted, bins)
    return float(np.average((table.predicted - table.observed).abs(), weights=table.rows))


def ndcg(lists: Integers, target: Integers, scores: Floats, k: int) -> float:
    """Mean NDCG@k over the lists that hold a positive (Järvelin and Kekäläinen, 2002).

    Items of equal score share the average discount of the places they fill, so that a constant
    score earns what a random order would.
    """
    return float(np.mean(_ndcg(_rank(lists, target, scores), k)))


def recall(lists: Integers, target: Integers, scores: Floats, k: int) -> float:
    """Mean share of a list's positives within its first k places; ties as in :func:`ndcg`."""
    return float(np.mean(_recall(_rank(lists, target, scores), k)))


def by_list(
    lists: Integers, target: Integers, scores: Floats, k: int
) -> dict[str, tuple[Integers, Floats]]:
    """The ranking metrics of each list that holds a positive: which lists, and their values."""
    ranked = _rank(lists, target, scores)
    return {
        f"ndcg_at_{k}": (ranked.names, _ndcg(ranked, k)),
        f"recall_at_{k}": (ranked.names, _recall(ranked, k)),
    }


def _ndcg(ranked: _Ranked, k: int) -> Floats:
    discount = np.where(ranked.place < k, 1 / np.log2(ranked.place + 2.0), 0.0)
    best = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(k) + 2.0))])
    ideal = best[np.minimum(ranked.positives.astype(np.int64), k)]
    return np.asarray(ranked.total(discount) / ideal)


def _recall(ranked: _Ranked, k: int) -> Floats:
    first = (ranked.place < k).astype(np.float64)
    return np.asarray(ranked.total(first) / ranked.positives)


@dataclass(frozen=True)
class _Ranked:
    """Rows of the lists that hold a positive, by list and falling score."""

    names: Integers  # of the lists, as they were given
    number: Integers  # of the row's list
    place: Integers  # in its list, from 0
    tie: Integers  # number of the row's block of equal scores
    hit: Floats  # 1 for a positive
    positives: Floats  # of each list

    def total(self, worth: Floats) -> Floats:
        """The worth of the places that positives take, summed by list."""
        shared = np.bincount(self.tie, weights=worth) / np.bincount(self.tie)
        return np.bincount(self.number, weights=self.hit * shared[self.tie]).astype(np.float64)


def _rank(lists: Integers, target: Integers, scores: Floats) -> _Ranked:
    codes, inverse = np.unique(lists, return_inverse=True)
    useful = (np.bincount(inverse, weights=target, minlength=len(codes)) > 0)[inverse]
    lists, target, scores = lists[useful], target[useful], scores[useful]
    order = np.lexsort((-scores, lists))
    lists, scores, hit = lists[order], scores[order], target[order].astype(np.float64)
    new_list = np.diff(lists, prepend=lists[:1] - 1) != 0
    number = np.cumsum(new_list) - 1
    starts = np.flatnonzero(new_list)
    place = np.arange(len(lists)) - starts[number]
    tie = np.cumsum(new_list | (np.diff(scores, prepend=np.nan) != 0)) - 1
    positives = np.bincount(number, weights=hit).astype(np.float64)
    return _Ranked(lists[starts], number, place, tie, hit, positives)
