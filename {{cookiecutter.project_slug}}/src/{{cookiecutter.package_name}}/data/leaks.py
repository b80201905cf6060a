"""Columns that give the target away: found before training, named with the evidence."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import UserError
from .roles import MAX_CLASSES
from .table import Table

# A column that alone predicts held-back rows this well (R², or balanced accuracy scaled so that
# chance is 0) is the target under another name, or was written down after it.
GIVES_AWAY = 0.97
# A ranking this good of two classes is one too, whatever the share of the rarer class. Honest
# columns reach 0.98 in well-known tables.
RANKS_AWAY = 0.995
_ROWS = 20_000
_OF_A_CLASS = 2_000  # rows of a rare class, so that a leak about it is seen
_FEWEST = 40  # rows under which a perfect column may be chance


@dataclass(frozen=True)
class Leak:
    column: str
    evidence: str


def refuse_leaks(table: Table, target: str, keep: list[str]) -> None:
    """Stop when a column gives the target away and is not named in ``keep``.

    Raises:
        UserError: with each such column, the evidence and what to do.
    """
    leaks = [leak for leak in find_leaks(table, target) if leak.column not in keep]
    if leaks:
        names = ",".join(leak.column for leak in leaks)
        lines = "\n".join(f"  {leak.column}: {leak.evidence}" for leak in leaks)
        raise UserError(
            f"{table.path.name} gives the target '{target}' away:\n{lines}\n"
            f"Leave out with  'data.exclude=[{names}]'  "
            f"or, when it is known before {target} is,  'data.keep=[{names}]'"
        )


def find_leaks(table: Table, target: str) -> list[Leak]:
    """The columns that alone, or as a sum with others, give the target away."""
    if len(table.frame) < _FEWEST:
        return []
    frame = table.frame.iloc[_sample(table.frame[target], table.task == "regression")]
    names = table.named("numeric", "boolean", "category", "date")
    numbers = pd.DataFrame({name: _as_number(frame[name]) for name in names})
    leaks = []
    for name in names:
        score, ranks = _alone(numbers[name], frame[target], table.task == "regression")
        if score >= GIVES_AWAY:
            leaks.append(
                Leak(name, f"it alone predicts held-back rows with a score of {score:.3f}")
            )
        elif ranks >= RANKS_AWAY:
            leaks.append(Leak(name, f"it alone ranks held-back rows with an AUC of {ranks:.3f}"))
    if table.task == "regression":
        found = {leak.column for leak in leaks}
        numeric = [name for name in table.named("numeric") if name not in found]
        leaks += _sums(numbers[numeric], frame[target].astype(float))
    return leaks


def _alone(column: pd.Series, target: pd.Series, regression: bool) -> tuple[float, float]:
    """How well a small tree on one column predicts rows it has not seen, from 0 to 1.

    The score of :data:`GIVES_AWAY`, and the area under the ROC curve, 0 unless there are two
    classes; each is the worse of two halves.
    """
    from sklearn.metrics import r2_score
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    x = column.to_numpy(dtype=np.float64).reshape(-1, 1)
    half = np.random.default_rng(0).random(len(x)) < 0.5  # not by row number: rows may alternate
    kind = DecisionTreeRegressor if regression else DecisionTreeClassifier
    y = target.to_numpy(dtype=np.float64) if regression else pd.factorize(target, sort=True)[0]
    scores, ranks = [], []
    for fit, held in ((half, ~half), (~half, half)):
        tree = kind(max_leaf_nodes=64, min_samples_leaf=3, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # many classes for few rows: we know
            tree.fit(x[fit], y[fit])
        guess = tree.predict(x[held])
        if regression:
            scores.append(float(r2_score(y[held], guess)))
        else:
            scores.append(_above_chance(y[held], guess))
            two = (
                len(tree.classes_) == 2 and np.bincount(y[held], minlength=2).min() >= _FEWEST // 2
            )
            chances = tree.predict_proba(x[held])[:, 1] if two else x[held][:, 0]
            ranks.append(_area(chances, y[held]) if two else 0.0)
    return min(scores), max(min(ranks, default=0.0), _ranking(x[:, 0], y, regression))


def _ranking(x: NDArray[np.float64], y: NDArray[Any], regression: bool) -> float:
    """Area under the ROC curve of the column as it is, in either direction; nothing is fitted.

    0 unless there are two classes and nearly every row has a value. A tree cannot rank well by a
    few rows of a rare class.
    """
    known = np.isfinite(x)
    if regression or known.mean() < 0.95 or y.max() != 1:
        return 0.0
    if np.bincount(y[known], minlength=2).min() < _FEWEST // 2:
        return 0.0
    area = _area(x[known], y[known])
    return max(area, 1 - area)


def _area(values: NDArray[np.float64], truth: NDArray[Any]) -> float:
    """Area under the ROC curve by ranks, ties counting half (Mann and Whitney, 1947)."""
    ranks = pd.Series(values).rank().to_numpy()
    positive = truth == 1
    count = int(positive.sum())
    above = float(ranks[positive].sum()) - count * (count + 1) / 2
    return above / (count * (len(truth) - count))


def _above_chance(target: NDArray[np.int64], guess: NDArray[np.int64]) -> float:
    """Balanced accuracy, scaled so that chance is 0 and perfect is 1."""
    sizes = np.bincount(target)
    right = (np.bincount(target, weights=target == guess) / np.maximum(sizes, 1))[sizes > 0]
    chance = 1 / len(right)
    return float((right.mean() - chance) / (1 - chance)) if len(right) > 1 else 0.0


def _sums(numbers: pd.DataFrame, target: pd.Series) -> list[Leak]:
    """Columns that are the target plus others, such as a total: an identity, not a finding.

    Each column is regressed on the target and the other columns. A sum shows weights of about one
    on the target and on its other parts, leaves next to nothing unexplained, and clearly more
    when the target is taken away.
    """
    complete = (numbers.notna().all(axis=1) & target.notna()).to_numpy()
    if complete.sum() < 50:
        return []
    known, answer = numbers[complete], target[complete].to_numpy(dtype=np.float64)
    leaks = []
    for name in known.columns:
        others = [other for other in known.columns if other != name]
        rest = np.column_stack([known[others], np.ones(len(known))])
        total = known[name].to_numpy(dtype=np.float64)
        weights, unexplained = _regress(np.column_stack([answer, rest]), total)
        parts = [o for o, w in zip(others, weights[1:-1], strict=True) if abs(w - 1) < 0.1]
        if not parts or abs(weights[0] - 1) > 0.25 or unexplained > 0.02:
            continue
        if _regress(rest, total)[1] > 2 * unexplained:
            what = " + ".join([str(target.name), *parts])
            leaks.append(Leak(name, f"{what} explain {1 - unexplained:.1%} of it: it is their sum"))
    return leaks


def _regress(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Least squares weights, and the share of the variance of ``y`` left unexplained."""
    weights, *_ = np.linalg.lstsq(x, y, rcond=None)
    return weights.astype(np.float64), float(np.var(y - x @ weights) / np.var(y))


def _as_number(column: pd.Series) -> pd.Series:
    if pd.api.types.is_datetime64_any_dtype(column):
        return column.astype("int64").where(column.notna()).astype("float64")
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        return column.astype("float64")
    codes = pd.Series(pd.factorize(column, sort=True)[0], index=column.index).astype("float64")
    return codes.where(codes >= 0)


def _sample(target: pd.Series, regression: bool) -> NDArray[np.int64]:
    """Row numbers, at most about 20,000, spread evenly; of each class at least 2,000 or all."""
    rows = len(target)
    chosen = [np.linspace(0, rows - 1, min(rows, _ROWS)).astype(np.int64)]
    if not regression and rows > _ROWS:
        codes = pd.factorize(target)[0]
        counts = np.bincount(codes)
        for code in np.flatnonzero(counts * (_ROWS / rows) < _OF_A_CLASS)[:MAX_CLASSES]:
            members = np.flatnonzero(codes == code)
            spread = np.linspace(0, len(members) - 1, min(len(members), _OF_A_CLASS))
            chosen.append(members[spread.astype(np.int64)])
    return np.unique(np.concatenate(chosen))
