"""How much each row moves a metric: its influence, from which the error of the metric follows.

The influence of a row is the derivative of the metric by the weight of that row (Hampel, "The
influence curve and its role in robust estimation", 1974), times the number of rows. The mean over
rows is 0, and the metric's variance is that of this mean, which costs no drawing of rows.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .metrics import Floats, Integers, bounded


def influence(metric: str, target: Integers | Floats, predicted: Floats) -> tuple[float, Floats]:
    """The main metric of a task for some rows, and the influence of each, of shape ``(rows,)``.

    ``predicted`` has the shape that :class:`~..training.models.base.Model` states.
    """
    return _METRICS[metric](target, predicted)


def _auc(target: Integers, predicted: Floats) -> tuple[float, Floats]:
    """The influence is that of DeLong and others, "Comparing the areas under two or more correlated
    receiver operating characteristic curves", 1988."""
    hit = target == 1
    above, below = np.sort(predicted[hit]), np.sort(predicted[~hit])
    effect = np.empty(len(target))
    effect[hit] = _share_below(below, predicted[hit])
    effect[~hit] = 1 - _share_below(above, predicted[~hit])
    area = float(effect[hit].mean())
    effect -= area
    effect[hit] /= hit.mean()
    effect[~hit] /= 1 - hit.mean()
    return area, effect


def _share_below(values: Floats, limits: Floats) -> Floats:
    """The share of rising ``values`` below each of ``limits``; equal ones count half."""
    low, high = (np.searchsorted(values, limits, side) for side in ("left", "right"))
    return np.asarray((low + high) / (2 * len(values)))


def _log_loss(target: Integers, predicted: Floats) -> tuple[float, Floats]:
    loss = -np.log(bounded(predicted[np.arange(len(target)), target]))
    mean = float(loss.mean())
    return mean, loss - mean


def _rmse(target: Floats, predicted: Floats) -> tuple[float, Floats]:
    squared = (target.astype(np.float64) - predicted) ** 2
    mean = float(squared.mean())
    root = float(np.sqrt(mean))
    return root, (squared - mean) / (2 * root or 1.0)


_METRICS: dict[str, Callable[..., tuple[float, Floats]]] = {
    "roc_auc": _auc,
    "log_loss": _log_loss,
    "rmse": _rmse,
}
